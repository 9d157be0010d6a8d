#pragma once

#include <cstdint>

#include "src/device/exec.h"

struct CUstream_st;  // what a cudaStream_t points to; declared so that this header needs none of NVIDIA's

namespace lockstep {

/// destination[i] += source[i] for n floats in the memory of the backend; the two do not overlap. Enqueues on
/// the compute stream; does not wait. On the CPU any thread may call it.
void add_in_place(Exec exec, float* destination, const float* source, int64_t n);

/// destination[i] = the sum of the values i of `count` vectors of n floats in a fixed binary tree,
/// ((v0 + v1) + (v2 + v3)) + ... v[position] is `destination` itself; `others` has the rest, one behind the
/// other in their order. count: a power of two, of at most kMaxTreeLeaves. Enqueues like add_in_place().
void add_tree(Exec exec, float* destination, const float* others, int64_t n, int count, int position);
inline constexpr int kMaxTreeLeaves = 16;

/// destination[i] = source[i] for n floats, of which either may be in page-locked host memory. For a few
/// floats a GPU takes less time than for copy(), because it does this in a kernel. Enqueues on the compute
/// stream; does not wait.
void copy_few(Exec exec, float* destination, const float* source, int64_t n);

namespace cuda {

/// The same on any stream of the current GPU.
void add_in_place(CUstream_st* stream, float* destination, const float* source, int64_t n);
void add_tree(CUstream_st* stream, float* destination, const float* others, int64_t n, int count,
              int position);
void copy_few(CUstream_st* stream, float* destination, const float* source, int64_t n);

}  // namespace cuda

}  // namespace lockstep
