#include "src/device/kernels/block_reduce.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/long_sum.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 128;

/// 1 / the sum of a sample's mask, or 0 where that is 0, for all threads of the block.
template <Real T>
__device__ float inverse_sum(const T* mask, int64_t positions, double* shared) {
  double sum = 0.0;
  for (int64_t t = threadIdx.x; t < positions; t += blockDim.x)
    sum += mask == nullptr ? 1.0 : double{mask[t]};
  sum = block_reduce(sum, Sum{}, shared);
  return sum == 0.0 ? 0.0f : static_cast<float>(1.0 / sum);
}

/// A block computes one sample at a time, a thread a channel.
template <Real T>
__global__ void mean_positions_kernel(const T* x, const T* mask, T* y, int64_t samples, int64_t positions,
                                      int64_t channels) {
  wait_for_previous_kernel();
  __shared__ double shared[kBlock / 32];
  for (int64_t n = blockIdx.x; n < samples; n += gridDim.x) {
    const T* const weights = mask == nullptr ? nullptr : mask + n * positions;
    const float factor = inverse_sum(weights, positions, shared);
    for (int64_t c = threadIdx.x; c < channels; c += blockDim.x) {
      LongSum sum;
      for (int64_t t = 0; t < positions; ++t)
        sum.add(x[(n * positions + t) * channels + c] * (weights == nullptr ? 1.0f : float{weights[t]}));
      y[n * channels + c] = T(static_cast<float>(sum.value() * double{factor}));
    }
  }
}

template <Real T>
__global__ void mean_positions_gradient_kernel(const T* mask, const T* dy, T* dx, int64_t samples,
                                               int64_t positions, int64_t channels) {
  wait_for_previous_kernel();
  __shared__ double shared[kBlock / 32];
  for (int64_t n = blockIdx.x; n < samples; n += gridDim.x) {
    const T* const weights = mask == nullptr ? nullptr : mask + n * positions;
    const float factor = inverse_sum(weights, positions, shared);
    for (int64_t i = threadIdx.x; i < positions * channels; i += blockDim.x) {
      const float weight = weights == nullptr ? 1.0f : float{weights[i / channels]};
      dx[n * positions * channels + i] = T(dy[n * channels + i % channels] * (factor * weight));
    }
  }
}

}  // namespace

void mean_positions_forward(Exec exec, ConstTensor x, ConstTensor mask, Tensor y) {
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(mean_positions_kernel<T>, blocks_for(x.shape()[0], 1), kBlock, 0, compute_stream(exec),
           x.data<T>(), mask.data<T>(), y.data<T>(), x.shape()[0], x.shape()[1], x.shape()[2]);
  });
}

void mean_positions_backward(Exec exec, ConstTensor mask, ConstTensor dy, Tensor dx) {
  with_real(dx.dtype(), [&]<Real T>(T) {
    launch(mean_positions_gradient_kernel<T>, blocks_for(dx.shape()[0], 1), kBlock, 0, compute_stream(exec),
           mask.data<T>(), dy.data<T>(), dx.data<T>(), dx.shape()[0], dx.shape()[1], dx.shape()[2]);
  });
}

}  // namespace lockstep::cuda
