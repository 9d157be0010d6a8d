#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lockstep {

/// What follows "NAME :" or "NAME:" on its first line of a file of /proc; "" if it is not there.
std::string proc_field(const char* file, const std::string& name);

/// An amount of /proc/meminfo ("MemTotal", "MemAvailable") in bytes.
int64_t host_memory(const std::string& name);

/// The memory that a container or a Slurm job may use, if it is limited.
std::optional<int64_t> memory_limit();

}  // namespace lockstep
