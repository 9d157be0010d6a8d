#pragma once

// The lanes of a warp.
#include "tests/support/emulator/device_functions.h"

namespace emulator {

inline constexpr unsigned kWarp = 32;

/// The lane whose value a lane gets from a shuffle. As the CUDA C++ Programming Guide has it under "Warp
/// Shuffle Functions".
unsigned source_lane(unsigned lane, Exchange kind, int argument, int width);

}  // namespace emulator
