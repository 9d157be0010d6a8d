#include "src/device/block_reduce.h"
#include "src/device/launch.h"
#include "src/device/long_sum.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 128;

/// 1 / the sum of a sample's mask, or 0 where that is 0, for all threads of the block.
__device__ float inverse_sum(const float* mask, int64_t positions, double* shared) {
  double sum = 0.0;
  for (int64_t t = threadIdx.x; t < positions; t += blockDim.x)
    sum += mask == nullptr ? 1.0 : double{mask[t]};
  sum = block_reduce(sum, Sum{}, shared);
  return sum == 0.0 ? 0.0f : static_cast<float>(1.0 / sum);
}

/// A block computes one sample at a time, a thread a channel.
__global__ void mean_positions_kernel(const float* x, const float* mask, float* y, int64_t samples,
                                      int64_t positions, int64_t channels) {
  __shared__ double shared[kBlock / 32];
  for (int64_t n = blockIdx.x; n < samples; n += gridDim.x) {
    const float* const weights = mask == nullptr ? nullptr : mask + n * positions;
    const float factor = inverse_sum(weights, positions, shared);
    for (int64_t c = threadIdx.x; c < channels; c += blockDim.x) {
      LongSum sum;
      for (int64_t t = 0; t < positions; ++t)
        sum.add(x[(n * positions + t) * channels + c] * (weights == nullptr ? 1.0f : weights[t]));
      y[n * channels + c] = static_cast<float>(sum.value() * double{factor});
    }
  }
}

__global__ void mean_positions_gradient_kernel(const float* mask, const float* dy, float* dx, int64_t samples,
                                               int64_t positions, int64_t channels) {
  __shared__ double shared[kBlock / 32];
  for (int64_t n = blockIdx.x; n < samples; n += gridDim.x) {
    const float* const weights = mask == nullptr ? nullptr : mask + n * positions;
    const float factor = inverse_sum(weights, positions, shared);
    for (int64_t i = threadIdx.x; i < positions * channels; i += blockDim.x) {
      const float weight = weights == nullptr ? 1.0f : weights[i / channels];
      dx[n * positions * channels + i] = dy[n * channels + i % channels] * (factor * weight);
    }
  }
}

}  // namespace

void mean_positions_forward(Exec exec, ConstTensor x, ConstTensor mask, Tensor y) {
  launch(mean_positions_kernel, blocks_for(x.shape()[0], 1), kBlock, 0, compute_stream(exec), x.data<float>(),
         mask.data<float>(), y.data<float>(), x.shape()[0], x.shape()[1], x.shape()[2]);
}

void mean_positions_backward(Exec exec, ConstTensor mask, ConstTensor dy, Tensor dx) {
  launch(mean_positions_gradient_kernel, blocks_for(dx.shape()[0], 1), kBlock, 0, compute_stream(exec),
         mask.data<float>(), dy.data<float>(), dx.data<float>(), dx.shape()[0], dx.shape()[1], dx.shape()[2]);
}

}  // namespace lockstep::cuda
