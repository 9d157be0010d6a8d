#include "src/ops/loss/loss.h"

#include <algorithm>
#include <cmath>

#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

namespace cpu {
namespace {

/// What softmax subtracts and divides by.
struct Normalizer {
  float maximum;
  float sum;  ///< of exp(logit - maximum)
  int64_t arg_max;
};

Normalizer normalizer(const float* logits, int64_t classes) {
  int64_t best = 0;
  for (int64_t c = 1; c < classes; ++c)
    if (logits[c] > logits[best]) best = c;
  float sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(logits[c] - logits[best]);
  return {logits[best], sum, best};
}

/// `target(row, c)` is the probability of a class before smoothing; `is_right(row, c)` whether c is the
/// label.
template <typename Target, typename IsRight>
void cross_entropy(const MicroBatchInfo& info, float smoothing, ConstTensor logits, Tensor dlogits,
                   Tensor metrics, Target target, IsRight is_right) {
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  const int64_t valid = std::clamp<int64_t>(info.valid, 0, rows);
  const float uniform = smoothing / static_cast<float>(classes);
  double loss = 0;
  int64_t right = 0;
  for (int64_t row = 0; row < valid; ++row) {
    const float* z = logits.data<float>() + row * classes;
    float* dz = dlogits ? dlogits.data<float>() + row * classes : nullptr;
    const Normalizer norm = normalizer(z, classes);
    const float log_sum = std::log(norm.sum);
    right += is_right(row, norm.arg_max);
    float row_loss = 0, mass = 0;
    for (int64_t c = 0; c < classes; ++c) {
      const float q = (1 - smoothing) * target(row, c) + uniform;
      // A class of probability 0 adds nothing, even where its logit is -infinity.
      if (q != 0) row_loss -= q * (z[c] - norm.maximum - log_sum);
      mass += q;
    }
    loss += row_loss;
    if (dz == nullptr) continue;
    for (int64_t c = 0; c < classes; ++c) {
      const float q = (1 - smoothing) * target(row, c) + uniform;
      dz[c] = info.weight * (std::exp(z[c] - norm.maximum) / norm.sum * mass - q);
    }
  }
  if (dlogits) std::fill_n(dlogits.data<float>() + valid * classes, (rows - valid) * classes, 0.f);
  metrics.data<float>()[0] = static_cast<float>(loss * info.weight);
  metrics.data<float>()[1] = static_cast<float>(right);
}

void mean_squared_error(const MicroBatchInfo& info, ConstTensor prediction, ConstTensor target,
                        Tensor dprediction, Tensor metrics) {
  const int64_t rows = prediction.shape()[0], width = prediction.shape()[1];
  const int64_t valid = std::clamp<int64_t>(info.valid, 0, rows);
  const float* p = prediction.data<float>();
  const float* t = target.data<float>();
  double loss = 0;
  for (int64_t i = 0; i < valid * width; ++i) {
    const double error = p[i] - t[i];
    loss += error * error;
  }
  if (dprediction) {
    float* dp = dprediction.data<float>();
    const float factor = 2 * info.weight / static_cast<float>(width);
    for (int64_t i = 0; i < valid * width; ++i) dp[i] = factor * (p[i] - t[i]);
    std::fill_n(dp + valid * width, (rows - valid) * width, 0.f);
  }
  metrics.data<float>()[0] = static_cast<float>(loss * info.weight / static_cast<double>(width));
  metrics.data<float>()[1] = 0;
}

void softmax(ConstTensor logits, Tensor probabilities) {
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  for (int64_t row = 0; row < rows; ++row) {
    const float* z = logits.data<float>() + row * classes;
    float* p = probabilities.data<float>() + row * classes;
    const Normalizer norm = normalizer(z, classes);
    for (int64_t c = 0; c < classes; ++c) p[c] = std::exp(z[c] - norm.maximum) / norm.sum;
  }
}

}  // namespace
}  // namespace cpu

namespace {

void expect_matrix(ConstTensor tensor, const char* what) {
  INVARIANT(tensor.shape().rank() == 2 && tensor.shape()[1] > 0, "{} is {}, not a batch of rows", what,
            to_string(tensor.shape()));
  expect(tensor, DType::f32, tensor.shape(), what);
}

}  // namespace

void softmax_cross_entropy(Exec exec, const MicroBatchInfo* info, float label_smoothing, ConstTensor logits,
                           ConstTensor labels, Tensor dlogits, Tensor metrics) {
  expect_matrix(logits, "loss: logits");
  expect(labels, DType::i32, {logits.shape()[0]}, "loss: labels");
  if (dlogits) expect(dlogits, DType::f32, logits.shape(), "loss: dlogits");
  expect(metrics, DType::f32, {2}, "loss: metrics");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::softmax_cross_entropy(exec, info, label_smoothing, logits, labels, dlogits, metrics);
  }
  const int32_t* label = labels.data<int32_t>();
  const auto is_label = [=](int64_t row, int64_t c) { return label[row] == c; };
  cpu::cross_entropy(*info, label_smoothing, logits, dlogits, metrics, is_label, is_label);
}

void softmax_cross_entropy_soft(Exec exec, const MicroBatchInfo* info, float label_smoothing,
                                ConstTensor logits, ConstTensor targets, Tensor dlogits, Tensor metrics) {
  expect_matrix(logits, "loss: logits");
  expect(targets, DType::f32, logits.shape(), "loss: targets");
  if (dlogits) expect(dlogits, DType::f32, logits.shape(), "loss: dlogits");
  expect(metrics, DType::f32, {2}, "loss: metrics");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::softmax_cross_entropy_soft(exec, info, label_smoothing, logits, targets, dlogits, metrics);
  }
  const int64_t classes = logits.shape()[1];
  const float* target = targets.data<float>();
  cpu::cross_entropy(
      *info, label_smoothing, logits, dlogits, metrics,
      [=](int64_t row, int64_t c) { return target[row * classes + c]; },
      [=](int64_t row, int64_t c) {
        const float* first = target + row * classes;
        return std::max_element(first, first + classes) - first == c;
      });
}

void mean_squared_error(Exec exec, const MicroBatchInfo* info, ConstTensor prediction, ConstTensor target,
                        Tensor dprediction, Tensor metrics) {
  expect_matrix(prediction, "loss: prediction");
  expect(target, DType::f32, prediction.shape(), "loss: target");
  if (dprediction) expect(dprediction, DType::f32, prediction.shape(), "loss: dprediction");
  expect(metrics, DType::f32, {2}, "loss: metrics");
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::mean_squared_error(exec, info, prediction, target, dprediction, metrics);
  }
  cpu::mean_squared_error(*info, prediction, target, dprediction, metrics);
}

void softmax(Exec exec, ConstTensor logits, Tensor probabilities) {
  expect_matrix(logits, "softmax: logits");
  expect(probabilities, DType::f32, logits.shape(), "softmax: probabilities");
  if (is_empty(logits)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::softmax(exec, logits, probabilities);
  }
  cpu::softmax(logits, probabilities);
}

}  // namespace lockstep
