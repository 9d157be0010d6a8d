#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kThreads = 256;

template <Real T>
__global__ void add_output_loss_kernel(float weight, bool is_first, const float* own, T* gradient,
                                       int64_t count, float* total) {
  wait_for_previous_kernel();
  const int64_t thread = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = thread; i < count; i += stride) gradient[i] = T(gradient[i] * weight);
  if (thread != 0) return;
  if (is_first) {
    total[0] = weight * own[0];
    for (int64_t i = 1; i < kLossMetrics; ++i) total[i] = own[i];
  } else {
    total[0] = fmaf(weight, own[0], total[0]);
  }
}

}  // namespace

void add_output_loss(Exec exec, float weight, bool is_first, ConstTensor own, Tensor gradient, Tensor total) {
  const int64_t count = gradient.elements();
  with_real(gradient.dtype(), [&]<Real T>(T) {
    launch(add_output_loss_kernel<T>, blocks_for(count, kThreads), kThreads, 0, compute_stream(exec), weight,
           is_first, own.data<float>(), gradient.data<T>(), count, total.data<float>());
  });
}

}  // namespace lockstep::cuda
