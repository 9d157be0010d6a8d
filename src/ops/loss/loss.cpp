#include "src/ops/loss/loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/store.h"
#include "src/ops/vector_exp.h"
#include "src/ops/vector_sum.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

/// The first index of the largest value; NaN is passed over unless it is the first.
int64_t arg_max(const float* values, int64_t count) {
  float largest[kVectorLanes];
  std::fill_n(largest, kVectorLanes, values[0]);
  int64_t i = 0;
  for (; i + kVectorLanes <= count; i += kVectorLanes)
    for (int64_t lane = 0; lane < kVectorLanes; ++lane)
      largest[lane] = values[i + lane] > largest[lane] ? values[i + lane] : largest[lane];
  for (int64_t lane = 0; i < count; ++i, ++lane)
    largest[lane] = values[i] > largest[lane] ? values[i] : largest[lane];
  const float* const found =
      std::find(values, values + count, *std::max_element(largest, largest + kVectorLanes));
  return found == values + count ? 0 : found - values;
}

/// What softmax subtracts and divides by.
struct Normalizer {
  float maximum;
  float sum;  ///< of exp(logit - maximum)
  int64_t arg_max;
};

/// Sets `exponentials`, which may be the logits, to exp(logit - maximum), too.
Normalizer normalizer(const float* logits, int64_t classes, float* exponentials) {
  const int64_t best = arg_max(logits, classes);
  const float maximum = logits[best];
#pragma omp simd
  for (int64_t c = 0; c < classes; ++c) exponentials[c] = vector_exp(logits[c] - maximum);
  return {maximum, vector_sum(classes, [exponentials](int64_t c) { return exponentials[c]; }), best};
}

/// `target(row, c)` is the probability of a class before smoothing; `label(row)` the class that it means.
template <Real T, typename Target, typename Label>
void cross_entropy(const MicroBatchInfo& info, const CrossEntropySpec& spec, bool labels_weigh,
                   ConstTensor logits, T* dlogits, Tensor metrics, Target target, Label label) {
  const int64_t rows = logits.shape()[0], columns = logits.shape()[1], classes = spec.classes_of(columns);
  const int64_t valid = std::clamp<int64_t>(info.valid, 0, rows / spec.positions) * spec.positions;
  const float row_weight = info.weight / static_cast<float>(spec.positions);
  const float gradient_weight = row_weight * info.scale();
  const float smoothing = spec.label_smoothing, uniform = smoothing / static_cast<float>(classes);
  const float* const weights = spec.class_weights;
  const auto probability = [&](int64_t row, int64_t c) {
    const float q = (1 - smoothing) * target(row, c) + uniform;
    return weights == nullptr ? q : q * weights[c];
  };
  std::vector<float> exponentials(static_cast<size_t>(classes));
  double loss = 0, weight = 0;
  int64_t right = 0;
  for (int64_t row = 0; row < valid; ++row) {
    const float* z = logits.data<float>() + row * columns;
    T* const dz = dlogits == nullptr ? nullptr : dlogits + row * columns;
    const int64_t expected = label(row);
    if (labels_weigh && expected == spec.ignored_label) {
      if (dz != nullptr) std::fill_n(dz, columns, T(0));
      continue;
    }
    weight += labels_weigh && weights != nullptr ? weights[expected] : 1.f;
    const Normalizer norm = normalizer(z, classes, exponentials.data());
    const float log_sum = std::log(norm.sum);
    right += norm.arg_max == expected;
    // A class of probability 0 adds nothing, even where its logit is -infinity.
    loss -= vector_sum(classes, [&](int64_t c) {
      const float q = probability(row, c), log_probability = z[c] - norm.maximum - log_sum;
      return q != 0 ? q * log_probability : 0;
    });
    if (dz == nullptr) continue;
    const float mass = vector_sum(classes, [&](int64_t c) { return probability(row, c); });
    const float factor = mass / norm.sum;
    const float* const e = exponentials.data();
#pragma omp simd
    for (int64_t c = 0; c < classes; ++c)
      store(gradient_weight * (e[c] * factor - probability(row, c)), dz[c]);
    std::fill(dz + classes, dz + columns, T(0));
  }
  if (dlogits != nullptr) std::fill_n(dlogits + valid * columns, (rows - valid) * columns, T(0));
  metrics.data<float>()[0] = static_cast<float>(loss * row_weight);
  metrics.data<float>()[1] = static_cast<float>(right);
  metrics.data<float>()[2] = static_cast<float>(weight * row_weight);
}

void softmax(ConstTensor logits, Tensor probabilities) {
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  for (int64_t row = 0; row < rows; ++row) {
    const float* z = logits.data<float>() + row * classes;
    float* p = probabilities.data<float>() + row * classes;
    const Normalizer norm = normalizer(z, classes, p);
    for (int64_t c = 0; c < classes; ++c) p[c] /= norm.sum;
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

void expect_logits(ConstTensor logits, const CrossEntropySpec& spec, Tensor dlogits, Tensor metrics) {
  expect_matrix(logits, "loss: logits");
  INVARIANT(spec.positions > 0 && logits.shape()[0] % spec.positions == 0, "loss: {} rows of {} positions",
            logits.shape()[0], spec.positions);
  INVARIANT(spec.classes >= 0 && spec.classes <= logits.shape()[1], "loss: {} classes in {} columns",
            spec.classes, logits.shape()[1]);
  if (dlogits) expect_real(dlogits, logits.shape(), "loss: dlogits");
  expect(metrics, DType::f32, {kLossMetrics}, "loss: metrics");
}

}  // namespace

void softmax_cross_entropy(Exec exec, const MicroBatchInfo* info, const CrossEntropySpec& spec,
                           ConstTensor logits, ConstTensor labels, Tensor dlogits, Tensor metrics) {
  expect_logits(logits, spec, dlogits, metrics);
  expect(labels, DType::i32, {logits.shape()[0]}, "loss: labels");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::softmax_cross_entropy(exec, info, spec, logits, labels, dlogits, metrics);
  }
  const int32_t* label = labels.data<int32_t>();
  with_cpu_real(dlogits.dtype(), [&]<Real T>(T) {
    cpu::cross_entropy(
        *info, spec, /*labels_weigh=*/true, logits, dlogits.data<T>(), metrics,
        [=](int64_t row, int64_t c) -> float { return label[row] == static_cast<int32_t>(c); },
        [=](int64_t row) { return label[row]; });
  });
}

void softmax_cross_entropy_soft(Exec exec, const MicroBatchInfo* info, const CrossEntropySpec& spec,
                                ConstTensor logits, ConstTensor targets, Tensor dlogits, Tensor metrics) {
  expect_logits(logits, spec, dlogits, metrics);
  const int64_t classes = spec.classes_of(logits.shape()[1]);
  expect(targets, DType::f32, {logits.shape()[0], classes}, "loss: targets");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::softmax_cross_entropy_soft(exec, info, spec, logits, targets, dlogits, metrics);
  }
  const float* target = targets.data<float>();
  with_cpu_real(dlogits.dtype(), [&]<Real T>(T) {
    cpu::cross_entropy(
        *info, spec, /*labels_weigh=*/false, logits, dlogits.data<T>(), metrics,
        [=](int64_t row, int64_t c) { return target[row * classes + c]; },
        [=](int64_t row) {
          const float* first = target + row * classes;
          return std::max_element(first, first + classes) - first;
        });
  });
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

void divide_by_weights(Exec exec, Tensor metrics, std::span<float> gradients) {
  expect(metrics, DType::f32, {kLossMetrics}, "loss: metrics");
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::divide_by_weights(exec, metrics, gradients);
  }
  float* const sums = metrics.data<float>();
  const float factor = sums[2] > 0 ? 1 / sums[2] : 0;
  sums[0] *= factor;
  for (float& gradient : gradients) gradient *= factor;
}

}  // namespace lockstep
