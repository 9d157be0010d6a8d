#include "src/ops/loss/output_loss.h"

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

void add_output_loss(Exec exec, float weight, bool is_first, ConstTensor own, Tensor gradient, Tensor total) {
  expect(own, DType::f32, {kLossMetrics}, "loss: metrics of an output");
  expect_real(gradient, gradient.shape(), "loss: gradient of an output");
  expect(total, DType::f32, {kLossMetrics}, "loss: metrics of all outputs");
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::add_output_loss(exec, weight, is_first, own, gradient, total);
  }
  const float* const from = own.data<float>();
  float* const to = total.data<float>();
  const float loss = weight * from[0];
  to[0] = is_first ? loss : to[0] + loss;
  if (is_first)
    for (int64_t i = 1; i < kLossMetrics; ++i) to[i] = from[i];
  with_cpu_real(gradient.dtype(), [&]<Real T>(T) {
    T* const values = gradient.data<T>();
    const int64_t count = gradient.elements();
    for (int64_t i = 0; i < count; ++i) values[i] = T(values[i] * weight);
  });
}

}  // namespace lockstep
