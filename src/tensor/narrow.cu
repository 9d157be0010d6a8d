#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/tensor/half.h"
#include "src/tensor/narrow.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

template <typename T>
__global__ void narrow_kernel(const float* source, T* destination, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    destination[i] = T(source[i]);
}

template <typename T, bool kAdd>
__global__ void widen_kernel(const T* source, float* destination, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const float value = source[i];
    destination[i] = kAdd ? destination[i] + value : value;
  }
}

template <typename T>
void narrow_to(cudaStream_t stream, const float* source, uint16_t* destination, int64_t n) {
  launch(narrow_kernel<T>, blocks_for(n, kBlock), kBlock, 0, stream, source,
         reinterpret_cast<T*>(destination), n);
}

template <typename T, bool kAdd>
void widen_from(cudaStream_t stream, const uint16_t* source, float* destination, int64_t n) {
  launch(widen_kernel<T, kAdd>, blocks_for(n, kBlock), kBlock, 0, stream, reinterpret_cast<const T*>(source),
         destination, n);
}

}  // namespace

void narrow(cudaStream_t stream, DType type, const float* source, uint16_t* destination, int64_t n) {
  if (n == 0) return;
  if (type == DType::bf16) return narrow_to<bf16>(stream, source, destination, n);
  narrow_to<f16>(stream, source, destination, n);
}

void widen(cudaStream_t stream, DType type, const uint16_t* source, float* destination, int64_t n) {
  if (n == 0) return;
  if (type == DType::bf16) return widen_from<bf16, false>(stream, source, destination, n);
  widen_from<f16, false>(stream, source, destination, n);
}

void add_narrow(cudaStream_t stream, DType type, const uint16_t* source, float* destination, int64_t n) {
  if (n == 0) return;
  if (type == DType::bf16) return widen_from<bf16, true>(stream, source, destination, n);
  widen_from<f16, true>(stream, source, destination, n);
}

}  // namespace lockstep::cuda
