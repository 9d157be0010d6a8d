#include "src/ops/loss/elementwise_loss.h"

#include <algorithm>
#include <cmath>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

/// `loss(p, t, i)` is the loss of output i of a micro-batch, `slope(p, t, i)` its derivative by p.
template <typename Loss, typename Slope>
void elementwise(const MicroBatchInfo& info, ConstTensor prediction, ConstTensor target, Tensor dprediction,
                 Tensor metrics, Loss loss, Slope slope) {
  const int64_t rows = prediction.shape()[0], width = prediction.shape()[1];
  const int64_t valid = std::clamp<int64_t>(info.valid, 0, rows);
  const float* p = prediction.data<float>();
  const float* t = target.data<float>();
  double sum = 0;
  for (int64_t i = 0; i < valid * width; ++i) sum += loss(p[i], t[i], i);
  if (dprediction) {
    const float factor = info.weight / static_cast<float>(width) * info.scale();
    with_cpu_real(dprediction.dtype(), [&]<Real T>(T) {
      T* const dp = dprediction.data<T>();
      for (int64_t i = 0; i < valid * width; ++i) dp[i] = T(factor * slope(p[i], t[i], i));
      std::fill_n(dp + valid * width, (rows - valid) * width, T(0));
    });
  }
  metrics.data<float>()[0] = static_cast<float>(sum * info.weight / static_cast<double>(width));
  metrics.data<float>()[1] = 0;
  metrics.data<float>()[2] = static_cast<float>(static_cast<double>(valid) * info.weight);
}

void binary_cross_entropy(const MicroBatchInfo& info, const ElementwiseLossSpec& spec, ConstTensor prediction,
                          ConstTensor target, Tensor dprediction, Tensor metrics) {
  const auto positive = [&spec](int64_t i) {
    return spec.positive_weights == nullptr ? 1.f : spec.positive_weights[i % spec.positive_columns];
  };
  // softplus(z) = log(1 + exp(z)), without an exponential that overflows.
  const auto softplus = [](double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); };
  const auto sigmoid = [](float z) { return 1 / (1 + std::exp(-z)); };
  const auto loss = [&](float z, float y, int64_t i) {
    return double{positive(i)} * y * softplus(-double{z}) + (1 - double{y}) * softplus(z);
  };
  const auto slope = [&](float z, float y, int64_t i) {
    return (1 - y) * sigmoid(z) - positive(i) * y * sigmoid(-z);
  };
  elementwise(info, prediction, target, dprediction, metrics, loss, slope);
}

}  // namespace
}  // namespace cpu

void elementwise_loss(Exec exec, const MicroBatchInfo* info, const ElementwiseLossSpec& spec,
                      ConstTensor prediction, ConstTensor target, Tensor dprediction, Tensor metrics) {
  INVARIANT(prediction.shape().rank() == 2 && prediction.shape()[1] > 0,
            "loss: prediction is {}, not a batch of rows", to_string(prediction.shape()));
  INVARIANT(prediction.shape()[1] % spec.positive_columns == 0, "loss: {} weights for {} outputs",
            spec.positive_columns, prediction.shape()[1]);
  expect(prediction, DType::f32, prediction.shape(), "loss: prediction");
  expect(target, DType::f32, prediction.shape(), "loss: target");
  if (dprediction) expect_real(dprediction, prediction.shape(), "loss: dprediction");
  expect(metrics, DType::f32, {kLossMetrics}, "loss: metrics");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::elementwise_loss(exec, info, spec, prediction, target, dprediction, metrics);
  }
  const auto compute = [&](auto loss, auto slope) {
    cpu::elementwise(*info, prediction, target, dprediction, metrics, loss, slope);
  };
  switch (spec.loss) {
    case ElementwiseLoss::squared:
      return compute(
          [](float p, float t, int64_t) {
            const double error = p - t;
            return error * error;
          },
          [](float p, float t, int64_t) { return 2 * (p - t); });
    case ElementwiseLoss::absolute:
      // The gradient of a NaN is NaN.
      return compute([](float p, float t, int64_t) { return std::abs(double{p - t}); },
                     [](float p, float t, int64_t) {
                       const float error = p - t;
                       return error > 0 ? 1.f : error < 0 ? -1.f : error;
                     });
    case ElementwiseLoss::huber:
      return compute(
          [delta = double{spec.huber_delta}](float p, float t, int64_t) {
            const double error = std::abs(double{p - t});
            return error <= delta ? error * error / 2 : delta * (error - delta / 2);
          },
          [delta = spec.huber_delta](float p, float t, int64_t) { return std::clamp(p - t, -delta, delta); });
    case ElementwiseLoss::binary_cross_entropy:
      return cpu::binary_cross_entropy(*info, spec, prediction, target, dprediction, metrics);
  }
}

}  // namespace lockstep
