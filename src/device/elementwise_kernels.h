#pragma once

// Elementwise kernels over flat arrays of T, which converts from and to float, for .cu files. F is a small
// struct with a __device__ operator() of floats.
#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"

namespace lockstep::cuda {

inline constexpr int kElementwiseBlock = 256;

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};

/// What a thread reads or writes at once: 16 bytes.
template <typename T>
struct alignas(16) Pack {
  static constexpr int kCount = 16 / sizeof(T);
  T values[kCount];
};

/// y[i] = f(a[i], b[i]); y may be a or b. packs: the number of packs that are read as such, 0 if a pointer is
/// not aligned; the rest is read one by one.
template <typename F, typename T>
__global__ void zip_kernel(F f, const T* a, const T* b, T* y, int64_t packs, int64_t n) {
  wait_for_previous_kernel();
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = first; i < packs; i += stride) {
    Pack<T> u = reinterpret_cast<const Pack<T>*>(a)[i];
    const Pack<T> v = reinterpret_cast<const Pack<T>*>(b)[i];
    for (int k = 0; k < Pack<T>::kCount; ++k) u.values[k] = T(f(u.values[k], v.values[k]));
    reinterpret_cast<Pack<T>*>(y)[i] = u;
  }
  for (int64_t i = Pack<T>::kCount * packs + first; i < n; i += stride) y[i] = T(f(a[i], b[i]));
}

/// y[i] = f(x[i]); y may be x.
template <typename F, typename T>
__global__ void map_kernel(F f, const T* x, T* y, int64_t packs, int64_t n) {
  wait_for_previous_kernel();
  const int64_t first = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = first; i < packs; i += stride) {
    Pack<T> u = reinterpret_cast<const Pack<T>*>(x)[i];
    for (int k = 0; k < Pack<T>::kCount; ++k) u.values[k] = T(f(u.values[k]));
    reinterpret_cast<Pack<T>*>(y)[i] = u;
  }
  for (int64_t i = Pack<T>::kCount * packs + first; i < n; i += stride) y[i] = T(f(x[i]));
}

/// Blocks for n elements of type T.
template <typename T>
unsigned elementwise_blocks(int64_t n) {
  return blocks_for((n + Pack<T>::kCount - 1) / Pack<T>::kCount, kElementwiseBlock);
}

template <typename F, typename T>
void zip(cudaStream_t stream, F f, const T* a, const T* b, T* y, int64_t n) {
  if (n == 0) return;
  const bool aligned = is_vector_aligned(a) && is_vector_aligned(b) && is_vector_aligned(y);
  launch(zip_kernel<F, T>, elementwise_blocks<T>(n), kElementwiseBlock, 0, stream, f, a, b, y,
         aligned ? n / Pack<T>::kCount : 0, n);
}

template <typename F, typename T>
void map(cudaStream_t stream, F f, const T* x, T* y, int64_t n) {
  if (n == 0) return;
  const bool aligned = is_vector_aligned(x) && is_vector_aligned(y);
  launch(map_kernel<F, T>, elementwise_blocks<T>(n), kElementwiseBlock, 0, stream, f, x, y,
         aligned ? n / Pack<T>::kCount : 0, n);
}

}  // namespace lockstep::cuda
