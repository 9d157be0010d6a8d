#pragma once

#include <cstdint>

namespace lockstep {

/// Peak host memory of this program in bytes; 0 where the system does not report it. Excludes the program
/// that started this one, which getrusage() includes.
int64_t peak_host_bytes();

}  // namespace lockstep
