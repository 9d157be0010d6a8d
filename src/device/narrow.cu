#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "src/device/launch.h"
#include "src/device/narrow.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

struct Bf16 {
  using Type = __nv_bfloat16;
  __device__ static Type narrow(float value) { return __float2bfloat16_rn(value); }
  __device__ static float widen(Type value) { return __bfloat162float(value); }
};

struct Fp16 {
  using Type = __half;
  __device__ static Type narrow(float value) { return __float2half_rn(value); }
  __device__ static float widen(Type value) { return __half2float(value); }
};

template <typename Format>
__global__ void narrow_kernel(const float* source, typename Format::Type* destination, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    destination[i] = Format::narrow(source[i]);
}

template <typename Format, bool kAdd>
__global__ void widen_kernel(const typename Format::Type* source, float* destination, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const float value = Format::widen(source[i]);
    destination[i] = kAdd ? destination[i] + value : value;
  }
}

template <typename Format>
void narrow_as(cudaStream_t stream, const float* source, uint16_t* destination, int64_t n) {
  launch(narrow_kernel<Format>, blocks_for(n, kBlock), kBlock, 0, stream, source,
         reinterpret_cast<typename Format::Type*>(destination), n);
}

template <typename Format, bool kAdd>
void widen_from(cudaStream_t stream, const uint16_t* source, float* destination, int64_t n) {
  launch(widen_kernel<Format, kAdd>, blocks_for(n, kBlock), kBlock, 0, stream,
         reinterpret_cast<const typename Format::Type*>(source), destination, n);
}

}  // namespace

void narrow(cudaStream_t stream, NarrowFloat type, const float* source, uint16_t* destination, int64_t n) {
  if (n == 0) return;
  if (type == NarrowFloat::bf16) return narrow_as<Bf16>(stream, source, destination, n);
  narrow_as<Fp16>(stream, source, destination, n);
}

void widen(cudaStream_t stream, NarrowFloat type, const uint16_t* source, float* destination, int64_t n) {
  if (n == 0) return;
  if (type == NarrowFloat::bf16) return widen_from<Bf16, false>(stream, source, destination, n);
  widen_from<Fp16, false>(stream, source, destination, n);
}

void add_narrow(cudaStream_t stream, NarrowFloat type, const uint16_t* source, float* destination,
                int64_t n) {
  if (n == 0) return;
  if (type == NarrowFloat::bf16) return widen_from<Bf16, true>(stream, source, destination, n);
  widen_from<Fp16, true>(stream, source, destination, n);
}

}  // namespace lockstep::cuda
