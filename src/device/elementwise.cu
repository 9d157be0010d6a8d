#include "src/device/elementwise.h"

#include "src/device/launch.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

__global__ void add_in_place_kernel(float* __restrict__ destination, const float* __restrict__ source,
                                    int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    destination[i] += source[i];
}

/// The same, four floats a load; n counts the groups of four.
__global__ void add_in_place_vector_kernel(float4* __restrict__ destination,
                                           const float4* __restrict__ source, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const float4 a = destination[i], b = source[i];
    destination[i] = {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
  }
}

}  // namespace

void add_in_place(cudaStream_t stream, float* destination, const float* source, int64_t n) {
  if (n == 0) return;
  if (n % 4 == 0 && is_vector_aligned(destination) && is_vector_aligned(source)) {
    launch(add_in_place_vector_kernel, blocks_for(n / 4, kBlock), kBlock, 0, stream,
           reinterpret_cast<float4*>(destination), reinterpret_cast<const float4*>(source), n / 4);
  } else {
    launch(add_in_place_kernel, blocks_for(n, kBlock), kBlock, 0, stream, destination, source, n);
  }
}

}  // namespace lockstep::cuda
