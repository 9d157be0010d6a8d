#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace lockstep {

/// The text after the first "NAME :" or "NAME:" in a file of /proc; "" if there is none.
std::string proc_field(const char* file, const std::string& name);

/// A value of /proc/meminfo ("MemTotal", "MemAvailable") in bytes.
int64_t host_memory(const std::string& name);

/// The memory limit of the container or Slurm job, if any.
std::optional<int64_t> memory_limit();

}  // namespace lockstep
