#include "src/ops/loss/elementwise_loss.h"

#include "src/device/kernels/previous_kernel.h"
#include "src/ops/loss/loss_kernels.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

// The loss of output i of a micro-batch for a prediction p and a target t, and its slope by p.

struct Squared {
  __device__ float loss(float p, float t, int64_t) const { return (p - t) * (p - t); }
  __device__ float slope(float p, float t, int64_t) const { return 2.0f * (p - t); }
};

struct Absolute {
  __device__ float loss(float p, float t, int64_t) const { return fabsf(p - t); }
  __device__ float slope(float p, float t, int64_t) const {
    const float error = p - t;
    return error > 0.0f ? 1.0f : error < 0.0f ? -1.0f : error;
  }
};

struct Huber {
  float delta;
  __device__ float loss(float p, float t, int64_t) const {
    const float error = fabsf(p - t);
    return error <= delta ? 0.5f * error * error : delta * (error - 0.5f * delta);
  }
  __device__ float slope(float p, float t, int64_t) const {
    const float error = p - t;
    return error > delta ? delta : error < -delta ? -delta : error;
  }
};

struct BinaryCrossEntropy {
  const float* positive_weights;
  int64_t columns;
  __device__ float positive(int64_t i) const {
    return positive_weights == nullptr ? 1.0f : positive_weights[i % columns];
  }
  /// log(1 + exp(z)), without an exponential that overflows. A NaN stays one, which fmaxf would drop.
  static __device__ float softplus(float z) { return (z > 0.0f ? z : 0.0f) + log1pf(expf(-fabsf(z))); }
  static __device__ float sigmoid(float z) { return 1.0f / (1.0f + expf(-z)); }
  __device__ float loss(float z, float y, int64_t i) const {
    return positive(i) * y * softplus(-z) + (1.0f - y) * softplus(z);
  }
  __device__ float slope(float z, float y, int64_t i) const {
    return (1.0f - y) * sigmoid(z) - positive(i) * y * sigmoid(-z);
  }
};

template <typename Loss, Real T>
__global__ void elementwise_loss_kernel(const MicroBatchInfo* info, Loss loss, const float* prediction,
                                        const float* target, T* dprediction, LossTotal total, int64_t rows,
                                        int64_t outputs) {
  wait_for_previous_kernel();
  __shared__ LossShared shared;
  LossSums sums{0.0, 0.0, 0.0};
  const float weight = info->weight, scale = info->scale();
  const float inverse_outputs = 1.0f / static_cast<float>(outputs);
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const bool real = row < info->valid;
    float sum = 0.0f;
    for (int64_t i = row * outputs + threadIdx.x; i < (row + 1) * outputs; i += blockDim.x) {
      const float p = real ? prediction[i] : 0.0f, t = real ? target[i] : 0.0f;
      if (real) sum += loss.loss(p, t, i);
      if (dprediction != nullptr)
        dprediction[i] = T(real ? loss.slope(p, t, i) * inverse_outputs * weight * scale : 0.0f);
    }
    sums.loss += double{block_reduce(sum, Sum{}, shared.floats) * inverse_outputs} * weight;
    if (real) sums.weight += weight;
  }
  total.add(sums, shared);
}

}  // namespace

void elementwise_loss(Exec exec, const MicroBatchInfo* info, const ElementwiseLossSpec& spec,
                      ConstTensor prediction, ConstTensor target, Tensor dprediction, Tensor metrics) {
  const int64_t rows = prediction.shape()[0], outputs = prediction.shape()[1];
  const auto enqueue = [&]<typename Loss>(Loss loss) {
    with_real(dprediction.dtype(), [&]<Real T>(T) {
      launch(elementwise_loss_kernel<Loss, T>, loss_blocks(rows), loss_threads(outputs), 0,
             compute_stream(exec), info, loss, prediction.data<float>(), target.data<float>(),
             dprediction.data<T>(), LossTotal(exec, metrics), rows, outputs);
    });
  };
  switch (spec.loss) {
    case ElementwiseLoss::squared:
      return enqueue(Squared{});
    case ElementwiseLoss::absolute:
      return enqueue(Absolute{});
    case ElementwiseLoss::huber:
      return enqueue(Huber{spec.huber_delta});
    case ElementwiseLoss::binary_cross_entropy:
      return enqueue(BinaryCrossEntropy{spec.positive_weights, spec.positive_columns});
  }
}

}  // namespace lockstep::cuda
