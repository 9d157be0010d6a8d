#pragma once

#include <cstdint>

namespace lockstep {

/// The most bytes of host memory that this program has had in use at a time; 0 where the system does not say.
/// Not that of the program that started this one, which getrusage() counts in.
int64_t peak_host_bytes();

}  // namespace lockstep
