#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

template <Real T>
__global__ void padding_mask_kernel(int32_t padding, const int32_t* ids, T* mask, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    mask[i] = T(ids[i] == padding ? 0.0f : 1.0f);
}

}  // namespace

void padding_mask(Exec exec, int32_t padding, ConstTensor ids, Tensor mask) {
  const int64_t n = mask.elements();
  with_real(mask.dtype(), [&]<Real T>(T) {
    launch(padding_mask_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), padding,
           ids.data<int32_t>(), mask.data<T>(), n);
  });
}

}  // namespace lockstep::cuda
