#pragma once

#include <cstdint>
#include <string>

namespace lockstep {

/// "23.4 GiB", "1.5 KiB", "512 B": the one way in which sizes of memory and files are printed.
std::string readable_bytes(int64_t bytes);

}  // namespace lockstep
