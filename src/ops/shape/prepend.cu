#include "src/device/kernels/previous_kernel.h"
#include "src/ops/columns.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

template <Real T>
__global__ void prepend_token_kernel(const T* token, T* y, int64_t samples, int64_t stride,
                                     int64_t channels) {
  wait_for_previous_kernel();
  const int64_t threads = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < samples * channels; i += threads)
    y[i / channels * stride + i % channels] = token[i % channels];
}

/// Of each sample.
template <Real Type>
struct FirstPosition : Matrices<Type, 1> {
  int64_t stride;  ///< from sample to sample
  __device__ const Type* row(int, int64_t row) const { return this->matrix[0] + row * stride; }

  struct Column {
    __device__ Pair operator()(int64_t, const float* dy) const { return {dy[0], 0.0f}; }
  };
  __device__ Column column(int64_t) const { return {}; }
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
    column_sums(exec, FirstPosition<T>{{{dy.data<T>()}, channels}, dy.shape()[1] * channels},
                StoreSum{dtoken.data<float>()}, samples, channels);
  });
}

}  // namespace lockstep::cuda
