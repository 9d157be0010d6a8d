#include <climits>

#include "src/device/block_reduce.h"
#include "src/device/launch.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kMaxWarps = 8;
constexpr int64_t kMaxBlocks = 512;

/// What one block adds to the metrics.
struct Metrics {
  double loss, correct;
};

/// One-hot labels after smoothing: q(k) = (1 - s) [k == label] + s / C.
struct HardTarget {
  const int32_t* labels;
  float smoothing;

  struct Row {
    int label;
    float on, off;
    __device__ float operator()(int64_t k) const { return k == label ? on : off; }
  };
  __device__ Row row(int64_t row, int64_t classes) const {
    const float off = smoothing / static_cast<float>(classes);
    return {labels[row], 1.0f - smoothing + off, off};
  }
};

/// Target probabilities after smoothing: q(k) = (1 - s) t(k) + s / C.
struct SoftTarget {
  const float* targets;
  float smoothing;

  struct Row {
    const float* targets;
    float factor, off;
    __device__ float operator()(int64_t k) const { return targets[k] * factor + off; }
  };
  __device__ Row row(int64_t row, int64_t classes) const {
    return {targets + row * classes, 1.0f - smoothing, smoothing / static_cast<float>(classes)};
  }
};

struct Shared {
  float floats[kMaxWarps];
  int ints[kMaxWarps];
};

/// The largest of f(k) over the block's row. A NaN is passed over here and reaches the sums all the same.
template <typename F>
__device__ float row_maximum(const F& f, int64_t n, Shared& shared) {
  float largest = -INFINITY;
  for (int64_t k = threadIdx.x; k < n; k += blockDim.x) largest = fmaxf(largest, f(k));
  return block_reduce(largest, Maximum{}, shared.floats);
}

/// The first k with f(k) == value.
template <typename F>
__device__ int row_find(const F& f, float value, int64_t n, Shared& shared) {
  int first = INT_MAX;
  for (int64_t k = threadIdx.x; k < n && first == INT_MAX; k += blockDim.x)
    if (f(k) == value) first = static_cast<int>(k);
  return block_reduce(first, Minimum{}, shared.ints);
}

__device__ int label_of(const HardTarget::Row& q, int64_t, Shared&) { return q.label; }
__device__ int label_of(const SoftTarget::Row& q, int64_t classes, Shared& shared) {
  return row_find(q, row_maximum(q, classes, shared), classes, shared);
}

/// A block takes a row at a time; a thread reads and writes the same elements of it, so dlogits may be
/// logits.
template <typename Target>
__global__ void cross_entropy_kernel(const MicroBatchInfo* info, Target target, const float* logits,
                                     float* dlogits, Metrics* partial, int64_t rows, int64_t classes) {
  __shared__ Shared shared;
  Metrics metrics{0.0, 0.0};
  const float weight = info->weight;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    float* gradient = dlogits == nullptr ? nullptr : dlogits + row * classes;
    if (row >= info->valid) {
      if (gradient != nullptr)
        for (int64_t k = threadIdx.x; k < classes; k += blockDim.x) gradient[k] = 0.0f;
      continue;
    }
    const auto q = target.row(row, classes);
    const auto logit = [z = logits + row * classes](int64_t k) { return z[k]; };
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
    metrics.loss += double{logf(sum_exp) * sum_q - sum_q_logit} * weight;
    metrics.correct += row_find(logit, largest, classes, shared) == label_of(q, classes, shared) ? 1.0 : 0.0;
    if (gradient == nullptr) continue;
    for (int64_t k = threadIdx.x; k < classes; k += blockDim.x)
      gradient[k] = (expf(logit(k) - largest) / sum_exp * sum_q - q(k)) * weight;
  }
  if (threadIdx.x == 0) partial[blockIdx.x] = metrics;
}

__global__ void squared_error_kernel(const MicroBatchInfo* info, const float* prediction, const float* target,
                                     float* dprediction, Metrics* partial, int64_t rows, int64_t outputs) {
  __shared__ Shared shared;
  Metrics metrics{0.0, 0.0};
  const float weight = info->weight;
  const float inverse_outputs = 1.0f / static_cast<float>(outputs);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const bool real = row < info->valid;
    float sum = 0.0f;
    for (int64_t i = row * outputs + threadIdx.x; i < (row + 1) * outputs; i += blockDim.x) {
      const float error = real ? prediction[i] - target[i] : 0.0f;
      sum += error * error;
      if (dprediction != nullptr) dprediction[i] = 2.0f * error * inverse_outputs * weight;
    }
    metrics.loss += double{block_reduce(sum, Sum{}, shared.floats) * inverse_outputs} * weight;
  }
  if (threadIdx.x == 0) partial[blockIdx.x] = metrics;
}

__global__ void softmax_kernel(const float* logits, float* probabilities, int64_t rows, int64_t classes) {
  __shared__ Shared shared;
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

/// One block adds what the others found, always in the same order.
__global__ void metrics_kernel(const Metrics* partial, int64_t count, float* metrics) {
  __shared__ double shared[kMaxWarps];
  Metrics sum{0.0, 0.0};
  for (int64_t i = threadIdx.x; i < count; i += blockDim.x) {
    sum.loss += partial[i].loss;
    sum.correct += partial[i].correct;
  }
  sum.loss = block_reduce(sum.loss, Sum{}, shared);
  sum.correct = block_reduce(sum.correct, Sum{}, shared);
  if (threadIdx.x == 0) {
    metrics[0] = static_cast<float>(sum.loss);
    metrics[1] = static_cast<float>(sum.correct);
  }
}

/// A warp suffices for a short row.
int threads_for(int64_t columns) { return columns <= 128 ? 32 : 32 * kMaxWarps; }

/// Enqueues kernel(..., partial, rows, columns) over the rows and then the sum of their metrics.
template <typename Enqueue>
void with_metrics(Exec exec, int64_t rows, Tensor metrics, Enqueue enqueue) {
  Metrics* partial = static_cast<Metrics*>(scratch(exec));
  const unsigned blocks = rows == 0 ? 0 : blocks_for(rows, 1, kMaxBlocks);
  if (blocks > 0) enqueue(blocks, partial);
  launch(metrics_kernel, 1, 32 * kMaxWarps, 0, compute_stream(exec), partial, blocks, metrics.data<float>());
}

template <typename Target>
void cross_entropy(Exec exec, const MicroBatchInfo* info, Target target, ConstTensor logits, Tensor dlogits,
                   Tensor metrics) {
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  with_metrics(exec, rows, metrics, [&](unsigned blocks, Metrics* partial) {
    launch(cross_entropy_kernel<Target>, blocks, threads_for(classes), 0, compute_stream(exec), info, target,
           logits.data<float>(), dlogits.data<float>(), partial, rows, classes);
  });
}

}  // namespace

void softmax_cross_entropy(Exec exec, const MicroBatchInfo* info, float label_smoothing, ConstTensor logits,
                           ConstTensor labels, Tensor dlogits, Tensor metrics) {
  cross_entropy(exec, info, HardTarget{labels.data<int32_t>(), label_smoothing}, logits, dlogits, metrics);
}

void softmax_cross_entropy_soft(Exec exec, const MicroBatchInfo* info, float label_smoothing,
                                ConstTensor logits, ConstTensor targets, Tensor dlogits, Tensor metrics) {
  cross_entropy(exec, info, SoftTarget{targets.data<float>(), label_smoothing}, logits, dlogits, metrics);
}

void mean_squared_error(Exec exec, const MicroBatchInfo* info, ConstTensor prediction, ConstTensor target,
                        Tensor dprediction, Tensor metrics) {
  const int64_t rows = prediction.shape()[0];
  const int64_t outputs = rows == 0 ? 0 : prediction.elements() / rows;
  with_metrics(exec, rows, metrics, [&](unsigned blocks, Metrics* partial) {
    launch(squared_error_kernel, blocks, threads_for(outputs), 0, compute_stream(exec), info,
           prediction.data<float>(), target.data<float>(), dprediction.data<float>(), partial, rows, outputs);
  });
}

void softmax(Exec exec, ConstTensor logits, Tensor probabilities) {
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  if (rows == 0 || classes == 0) return;
  launch(softmax_kernel, blocks_for(rows, 1), threads_for(classes), 0, compute_stream(exec),
         logits.data<float>(), probabilities.data<float>(), rows, classes);
}

}  // namespace lockstep::cuda
