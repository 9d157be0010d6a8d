#pragma once

// A stand-in for CUDA's half precision type: IEEE binary16 in 2 bytes, with arithmetic that rounds after each
// operation as the GPU does.
#include "tests/support/emulator/small_float.h"

using __half = emulator::SmallFloat<5, 10>;
using half = __half;

inline float __half2float(__half value) { return static_cast<float>(value); }
inline __half __float2half(float value) { return __half(value); }
inline __half __float2half_rn(float value) { return __half(value); }
