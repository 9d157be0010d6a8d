#pragma once

#include <cstdint>

#include "src/device/exec.h"

struct CUstream_st;  // what a cudaStream_t points to; declared so that this header needs none of NVIDIA's

namespace lockstep {

/// destination[i] += source[i] for n floats in the memory of the backend; the two do not overlap. Enqueues on
/// the compute stream; does not wait. On the CPU any thread may call it.
void add_in_place(Exec exec, float* destination, const float* source, int64_t n);

/// destination[i] = source[i] for n floats, of which either may be in page-locked host memory. For a few
/// floats a GPU takes less time than for copy(), because it does this in a kernel. Enqueues on the compute
/// stream; does not wait.
void copy_few(Exec exec, float* destination, const float* source, int64_t n);

namespace cuda {

/// The same on any stream of the current GPU.
void add_in_place(CUstream_st* stream, float* destination, const float* source, int64_t n);
void copy_few(CUstream_st* stream, float* destination, const float* source, int64_t n);

}  // namespace cuda

}  // namespace lockstep
