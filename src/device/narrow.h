#pragma once

#include <cstdint>

#include "src/device/exec.h"

struct CUstream_st;  // see elementwise.h

namespace lockstep {

/// A floating-point number in two bytes: bfloat16, the upper half of a float, or IEEE 754 binary16.
enum class NarrowFloat { bf16, fp16 };

// Conversions of n floats to and from two bytes each, rounded to nearest, ties to even. Source and
// destination do not overlap. What is too large becomes an infinity; a NaN stays one.

namespace cpu {

void narrow(NarrowFloat type, const float* source, uint16_t* destination, int64_t n);
/// destination[i] = source[i]
void widen(NarrowFloat type, const uint16_t* source, float* destination, int64_t n);
/// destination[i] += source[i], in fp32.
void add_narrow(NarrowFloat type, const uint16_t* source, float* destination, int64_t n);

}  // namespace cpu

namespace cuda {

/// The same on a stream of the current GPU; they enqueue and do not wait.
void narrow(CUstream_st* stream, NarrowFloat type, const float* source, uint16_t* destination, int64_t n);
void widen(CUstream_st* stream, NarrowFloat type, const uint16_t* source, float* destination, int64_t n);
void add_narrow(CUstream_st* stream, NarrowFloat type, const uint16_t* source, float* destination, int64_t n);

}  // namespace cuda

}  // namespace lockstep
