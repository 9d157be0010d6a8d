#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

template <Real T>
__global__ void prepend_token_kernel(const T* token, T* y, int64_t samples, int64_t stride,
                                     int64_t channels) {
  const int64_t threads = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < samples * channels; i += threads)
    y[i / channels * stride + i % channels] = token[i % channels];
}

template <Real T>
struct FirstPosition {
  const T* dy;
  int64_t stride;
  __device__ Pair operator()(int64_t row, int64_t column) const { return {dy[row * stride + column], 0.0f}; }
};
struct StoreSum {
  float* sums;
  __device__ void operator()(int64_t column, Sums sum) const { sums[column] = static_cast<float>(sum.first); }
};

}  // namespace

void prepend_token(Exec exec, ConstTensor token, Tensor y) {
  const int64_t samples = y.shape()[0], channels = y.shape()[2];
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(prepend_token_kernel<T>, blocks_for(samples * channels, kBlock), kBlock, 0, compute_stream(exec),
           token.data<T>(), y.data<T>(), samples, y.shape()[1] * channels, channels);
  });
}

void prepend_token_gradient(Exec exec, ConstTensor dy, Tensor dtoken) {
  const int64_t samples = dy.shape()[0], channels = dy.shape()[2];
  with_real(dy.dtype(), [&]<Real T>(T) {
    column_sums(exec, FirstPosition<T>{dy.data<T>(), dy.shape()[1] * channels},
                StoreSum{dtoken.data<float>()}, samples, channels);
  });
}

}  // namespace lockstep::cuda
