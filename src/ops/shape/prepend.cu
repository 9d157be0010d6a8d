#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

__global__ void prepend_token_kernel(const float* token, float* y, int64_t samples, int64_t stride,
                                     int64_t channels) {
  const int64_t threads = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < samples * channels; i += threads)
    y[i / channels * stride + i % channels] = token[i % channels];
}

struct FirstPosition {
  const float* dy;
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
  launch(prepend_token_kernel, blocks_for(samples * channels, kBlock), kBlock, 0, compute_stream(exec),
         token.data<float>(), y.data<float>(), samples, y.shape()[1] * channels, channels);
}

void prepend_token_gradient(Exec exec, ConstTensor dy, Tensor dtoken) {
  const int64_t samples = dy.shape()[0], channels = dy.shape()[2];
  column_sums(exec, FirstPosition{dy.data<float>(), dy.shape()[1] * channels}, StoreSum{dtoken.data<float>()},
              samples, channels);
}

}  // namespace lockstep::cuda
