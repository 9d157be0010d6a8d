#pragma once

// A stand-in for CUDA's bfloat16 type: the upper 2 bytes of a float, with arithmetic that rounds after each
// operation as the GPU does.
#include "tests/support/emulator/small_float.h"

using __nv_bfloat16 = emulator::SmallFloat<8, 7>;

inline float __bfloat162float(__nv_bfloat16 value) { return static_cast<float>(value); }
inline __nv_bfloat16 __float2bfloat16(float value) { return __nv_bfloat16(value); }
inline __nv_bfloat16 __float2bfloat16_rn(float value) { return __nv_bfloat16(value); }
