#pragma once

// Elementwise kernels over flat float arrays, for .cu files. F is a small struct with a __device__
// operator().
#include "src/device/launch.h"

namespace lockstep::cuda {

inline constexpr int kElementwiseBlock = 256;

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};

/// y[i] = f(a[i], b[i]); y may be a or b. vectors: the number of groups of four floats that are read at once,
/// 0 if a pointer is not aligned; the rest is read one by one.
template <typename F>
__global__ void zip_kernel(F f, const float* a, const float* b, float* y, int64_t vectors, int64_t n) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = first; i < vectors; i += stride) {
    const float4 u = reinterpret_cast<const float4*>(a)[i], v = reinterpret_cast<const float4*>(b)[i];
    reinterpret_cast<float4*>(y)[i] = make_float4(f(u.x, v.x), f(u.y, v.y), f(u.z, v.z), f(u.w, v.w));
  }
  for (int64_t i = 4 * vectors + first; i < n; i += stride) y[i] = f(a[i], b[i]);
}

/// y[i] = f(x[i]); y may be x.
template <typename F>
__global__ void map_kernel(F f, const float* x, float* y, int64_t vectors, int64_t n) {
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = first; i < vectors; i += stride) {
    const float4 u = reinterpret_cast<const float4*>(x)[i];
    reinterpret_cast<float4*>(y)[i] = make_float4(f(u.x), f(u.y), f(u.z), f(u.w));
  }
  for (int64_t i = 4 * vectors + first; i < n; i += stride) y[i] = f(x[i]);
}

template <typename F>
void zip(cudaStream_t stream, F f, const float* a, const float* b, float* y, int64_t n) {
  if (n == 0) return;
  const bool aligned = is_vector_aligned(a) && is_vector_aligned(b) && is_vector_aligned(y);
  launch(zip_kernel<F>, blocks_for((n + 3) / 4, kElementwiseBlock), kElementwiseBlock, 0, stream, f, a, b, y,
         aligned ? n / 4 : 0, n);
}

template <typename F>
void map(cudaStream_t stream, F f, const float* x, float* y, int64_t n) {
  if (n == 0) return;
  const bool aligned = is_vector_aligned(x) && is_vector_aligned(y);
  launch(map_kernel<F>, blocks_for((n + 3) / 4, kElementwiseBlock), kElementwiseBlock, 0, stream, f, x, y,
         aligned ? n / 4 : 0, n);
}

}  // namespace lockstep::cuda
