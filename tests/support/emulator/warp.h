#pragma once

// The lanes of a warp.
#include <string>

#include "tests/support/emulator/device_functions.h"

namespace emulator {

inline constexpr unsigned kWarp = 32;

/// The lane whose value a lane gets from a shuffle. As the CUDA C++ Programming Guide has it under "Warp
/// Shuffle Functions".
unsigned source_lane(unsigned lane, Exchange kind, int argument, int width);

/// What the guide does not allow ("Warp Matrix Functions"): an address that is no multiple of 32 bytes, or
/// rows or columns that are not a multiple of 16 bytes apart. Empty if all is well.
std::string matrix_mistake(const MatrixAccess& access);

}  // namespace emulator
