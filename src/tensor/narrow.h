#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/dtype.h"

struct CUstream_st;  // see src/device/elementwise.h

namespace lockstep {

// Conversions of n floats to and from two bytes each: bf16 or f16 (src/tensor/half.h). Source and destination
// do not overlap.

namespace cpu {

void narrow(DType type, const float* source, uint16_t* destination, int64_t n);
/// destination[i] = source[i]
void widen(DType type, const uint16_t* source, float* destination, int64_t n);
/// destination[i] += source[i], in fp32.
void add_narrow(DType type, const uint16_t* source, float* destination, int64_t n);

}  // namespace cpu

namespace cuda {

/// The same on a stream of the current GPU. These enqueue and do not wait.
void narrow(CUstream_st* stream, DType type, const float* source, uint16_t* destination, int64_t n);
void widen(CUstream_st* stream, DType type, const uint16_t* source, float* destination, int64_t n);
void add_narrow(CUstream_st* stream, DType type, const uint16_t* source, float* destination, int64_t n);

}  // namespace cuda

}  // namespace lockstep
