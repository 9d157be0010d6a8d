#pragma once

// Reductions over the threads of a block in a fixed order, for .cu files. T is trivially copyable; Combine is
// a struct with a __device__ T operator()(T, T) that is associative up to rounding and commutative to the
// bit.
#include <cuda_runtime.h>

#include <cstdint>

namespace lockstep::cuda {

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
  __device__ double operator()(double a, double b) const { return a + b; }
  __device__ uint64_t operator()(uint64_t a, uint64_t b) const { return a + b; }
};

struct Maximum {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

struct Minimum {
  __device__ int operator()(int a, int b) const { return min(a, b); }
};

/// Every thread gets the result. One-dimensional blocks of a multiple of 32 threads, all of which call this;
/// `shared` holds one T a warp and may be used again for the next reduction at once.
template <typename T, typename Combine>
__device__ T block_reduce(T value, Combine combine, T* shared) {
  for (int offset = 16; offset > 0; offset /= 2)
    value = combine(value, __shfl_xor_sync(0xffffffffu, value, offset));
  const unsigned warps = blockDim.x / 32;
  if (warps == 1) return value;
  __syncthreads();  // an earlier reduction may still read `shared`
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  T total = shared[0];
  for (unsigned warp = 1; warp < warps; ++warp) total = combine(total, shared[warp]);
  return total;
}

}  // namespace lockstep::cuda
