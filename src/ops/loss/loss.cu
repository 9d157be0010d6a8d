#include <climits>

#include "src/device/kernels/previous_kernel.h"
#include "src/ops/loss/loss_kernels.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

/// One-hot labels after smoothing: q(k) = (1 - s) [k == label] + s / C.
struct HardTarget {
  const int32_t* labels;
  CrossEntropySpec spec;

  struct Row {
    int label;
    float on, off;
    __device__ float operator()(int64_t k) const { return k == label ? on : off; }
  };
  __device__ Row row(int64_t row, int64_t classes) const {
    const float off = spec.label_smoothing / static_cast<float>(classes);
    return {labels[row], 1.0f - spec.label_smoothing + off, off};
  }
  __device__ bool ignores(int64_t row) const { return labels[row] == spec.ignored_label; }
  __device__ float weight(const Row& row) const {
    return spec.class_weights == nullptr ? 1.0f : spec.class_weights[row.label];
  }
};

/// Target probabilities after smoothing: q(k) = (1 - s) t(k) + s / C.
struct SoftTarget {
  const float* targets;
  CrossEntropySpec spec;

  struct Row {
    const float* targets;
    float factor, off;
    __device__ float operator()(int64_t k) const { return targets[k] * factor + off; }
  };
  __device__ Row row(int64_t row, int64_t classes) const {
    const float smoothing = spec.label_smoothing;
    return {targets + row * classes, 1.0f - smoothing, smoothing / static_cast<float>(classes)};
  }
  __device__ bool ignores(int64_t) const { return false; }
  __device__ float weight(const Row&) const { return 1.0f; }
};

/// The largest of f(k) over the block's row. A NaN is passed over here and reaches the sums all the same.
template <typename F>
__device__ float row_maximum(const F& f, int64_t n, LossShared& shared) {
  float largest = -INFINITY;
  for (int64_t k = threadIdx.x; k < n; k += blockDim.x) largest = fmaxf(largest, f(k));
  return block_reduce(largest, Maximum{}, shared.floats);
}

/// The first k with f(k) == value.
template <typename F>
__device__ int row_find(const F& f, float value, int64_t n, LossShared& shared) {
  int first = INT_MAX;
  for (int64_t k = threadIdx.x; k < n && first == INT_MAX; k += blockDim.x)
    if (f(k) == value) first = static_cast<int>(k);
  return block_reduce(first, Minimum{}, shared.ints);
}

__device__ int label_of(const HardTarget::Row& q, int64_t, LossShared&) { return q.label; }
__device__ int label_of(const SoftTarget::Row& q, int64_t classes, LossShared& shared) {
  return row_find(q, row_maximum(q, classes, shared), classes, shared);
}

/// A block takes a row at a time; a thread reads and writes the same elements of it, so dlogits may be
/// logits.
template <typename Target, Real T>
__global__ void cross_entropy_kernel(const MicroBatchInfo* info, Target target, const float* logits,
                                     T* dlogits, LossTotal total, int64_t rows, int64_t columns) {
  wait_for_previous_kernel();
  __shared__ LossShared shared;
  LossSums sums{0.0, 0.0, 0.0};
  const int64_t classes = target.spec.classes_of(columns);
  const float* const class_weights = target.spec.class_weights;
  const float row_weight = info->weight / static_cast<float>(target.spec.positions);
  const float gradient_weight = row_weight * info->scale();
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    T* const gradient = dlogits == nullptr ? nullptr : dlogits + row * columns;
    if (row >= info->valid * target.spec.positions || target.ignores(row)) {
      if (gradient != nullptr)
        for (int64_t k = threadIdx.x; k < columns; k += blockDim.x) gradient[k] = T(0.0f);
      continue;
    }
    const auto unweighted = target.row(row, classes);
    const auto q = [&](int64_t k) {
      return class_weights == nullptr ? unweighted(k) : unweighted(k) * class_weights[k];
    };
    const auto logit = [z = logits + row * columns](int64_t k) { return z[k]; };
    const float largest = row_maximum(logit, classes, shared);
    float sum_exp = 0.0f, sum_q = 0.0f, sum_q_logit = 0.0f;
    for (int64_t k = threadIdx.x; k < classes; k += blockDim.x) {
      const float shifted = logit(k) - largest, probability = q(k);
      sum_exp += expf(shifted);
      sum_q += probability;
      if (probability != 0.0f) sum_q_logit += probability * shifted;  // 0 * -inf is no loss
    }
    sum_exp = block_reduce(sum_exp, Sum{}, shared.floats);
    sum_q = block_reduce(sum_q, Sum{}, shared.floats);
    sum_q_logit = block_reduce(sum_q_logit, Sum{}, shared.floats);
    sums.loss += double{logf(sum_exp) * sum_q - sum_q_logit} * row_weight;
    sums.right +=
        row_find(logit, largest, classes, shared) == label_of(unweighted, classes, shared) ? 1.0 : 0.0;
    sums.weight += double{target.weight(unweighted)} * row_weight;
    if (gradient == nullptr) continue;
    for (int64_t k = threadIdx.x; k < classes; k += blockDim.x)
      gradient[k] = T((expf(logit(k) - largest) / sum_exp * sum_q - q(k)) * gradient_weight);
    for (int64_t k = classes + threadIdx.x; k < columns; k += blockDim.x) gradient[k] = T(0.0f);
  }
  total.add(sums, shared);
}

__global__ void softmax_kernel(const float* logits, float* probabilities, int64_t rows, int64_t classes) {
  wait_for_previous_kernel();
  __shared__ LossShared shared;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const auto logit = [z = logits + row * classes](int64_t k) { return z[k]; };
    const float largest = row_maximum(logit, classes, shared);
    float sum = 0.0f;
    for (int64_t k = threadIdx.x; k < classes; k += blockDim.x) sum += expf(logit(k) - largest);
    sum = block_reduce(sum, Sum{}, shared.floats);
    for (int64_t k = threadIdx.x; k < classes; k += blockDim.x)
      probabilities[row * classes + k] = expf(logit(k) - largest) / sum;
  }
}

constexpr int kDivideThreads = 256;

__device__ float factor_of(const float* metrics) { return metrics[2] > 0.0f ? 1.0f / metrics[2] : 0.0f; }

__global__ void divide_kernel(const float* metrics, float* gradients, int64_t count) {
  wait_for_previous_kernel();
  const float factor = factor_of(metrics);
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride)
    gradients[i] *= factor;
}

__global__ void divide_loss_kernel(float* metrics) {
  wait_for_previous_kernel();
  metrics[0] *= factor_of(metrics);
}

template <typename Target>
void cross_entropy(Exec exec, const MicroBatchInfo* info, Target target, ConstTensor logits, Tensor dlogits,
                   Tensor metrics) {
  const int64_t rows = logits.shape()[0], columns = logits.shape()[1];
  with_real(dlogits.dtype(), [&]<Real T>(T) {
    launch(cross_entropy_kernel<Target, T>, loss_blocks(rows), loss_threads(target.spec.classes_of(columns)),
           0, compute_stream(exec), info, target, logits.data<float>(), dlogits.data<T>(),
           LossTotal(exec, metrics), rows, columns);
  });
}

}  // namespace

void softmax_cross_entropy(Exec exec, const MicroBatchInfo* info, const CrossEntropySpec& spec,
                           ConstTensor logits, ConstTensor labels, Tensor dlogits, Tensor metrics) {
  cross_entropy(exec, info, HardTarget{labels.data<int32_t>(), spec}, logits, dlogits, metrics);
}

void softmax_cross_entropy_soft(Exec exec, const MicroBatchInfo* info, const CrossEntropySpec& spec,
                                ConstTensor logits, ConstTensor targets, Tensor dlogits, Tensor metrics) {
  cross_entropy(exec, info, SoftTarget{targets.data<float>(), spec}, logits, dlogits, metrics);
}

void softmax(Exec exec, ConstTensor logits, Tensor probabilities) {
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  if (rows == 0 || classes == 0) return;
  launch(softmax_kernel, blocks_for(rows, 1), loss_threads(classes), 0, compute_stream(exec),
         logits.data<float>(), probabilities.data<float>(), rows, classes);
}

void divide_by_weights(Exec exec, Tensor metrics, std::span<float> gradients) {
  const auto count = static_cast<int64_t>(gradients.size());
  if (count > 0)
    launch(divide_kernel, blocks_for(count, kDivideThreads), kDivideThreads, 0, compute_stream(exec),
           static_cast<const float*>(metrics.data<float>()), gradients.data(), count);
  launch(divide_loss_kernel, 1, 1, 0, compute_stream(exec), metrics.data<float>());
}

}  // namespace lockstep::cuda
