#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/input/augment/one_hot.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

__global__ void one_hot_kernel(const int32_t* labels, float* y, int64_t classes, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride)
    y[i] = labels[i / classes] == i % classes ? 1.0f : 0.0f;
}

}  // namespace

void one_hot(Exec exec, ConstTensor labels, Tensor y) {
  const int64_t n = y.elements();
  launch(one_hot_kernel, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), labels.data<int32_t>(),
         y.data<float>(), y.shape()[1], n);
}

}  // namespace lockstep::cuda
