#include "src/device/kernels/launch.h"
#include "src/device/kernels/long_sum.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// s^-beta. Roots are faster than the general power.
__device__ float inverse_power(float s, float beta) {
  return beta == 0.75f ? 1.0f / (sqrtf(s) * sqrtf(sqrtf(s))) : powf(s, -beta);
}

template <Real T>
__global__ void local_response_norm_kernel(LocalResponseNormSpec spec, int64_t channels, const T* x, T* y,
                                           float* scale, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t c = i % channels, first = max(int64_t{0}, c - spec.size / 2);
    const int64_t end = min(channels, c + (spec.size + 1) / 2);
    const T* const row = x + (i - c);
    LongSum squares;
    for (int64_t j = first; j < end; ++j) squares.add(row[j] * row[j]);
    const float s =
        fmaf(spec.alpha / static_cast<float>(spec.size), static_cast<float>(squares.value()), spec.k);
    scale[i] = s;
    y[i] = T(x[i] * inverse_power(s, spec.beta));
  }
}

/// Each channel gathers from those in whose scale it counts.
template <Real T>
__global__ void local_response_norm_gradient_kernel(LocalResponseNormSpec spec, int64_t channels, const T* x,
                                                    const float* scale, const T* dy, T* dx, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t c = i % channels, first = max(int64_t{0}, c - (spec.size - 1) / 2);
    const int64_t end = min(channels, c + spec.size / 2 + 1), row = i - c;
    LongSum sum;
    for (int64_t j = row + first; j < row + end; ++j)
      sum.add(dy[j] * x[j] * inverse_power(scale[j], spec.beta) / scale[j]);
    const float factor = 2.0f * spec.alpha * spec.beta / static_cast<float>(spec.size);
    dx[i] = T(dy[i] * inverse_power(scale[i], spec.beta) - factor * x[i] * static_cast<float>(sum.value()));
  }
}

}  // namespace

void local_response_norm_forward(Exec exec, const LocalResponseNormSpec& spec, ConstTensor x, Tensor y,
                                 Tensor scale) {
  const int64_t n = x.elements();
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(local_response_norm_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), spec,
           x.shape()[1], x.data<T>(), y.data<T>(), scale.data<float>(), n);
  });
}

void local_response_norm_backward(Exec exec, const LocalResponseNormSpec& spec, ConstTensor x,
                                  ConstTensor scale, ConstTensor dy, Tensor dx) {
  const int64_t n = x.elements();
  with_real(dx.dtype(), [&]<Real T>(T) {
    launch(local_response_norm_gradient_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec),
           spec, x.shape()[1], x.data<T>(), scale.data<float>(), dy.data<T>(), dx.data<T>(), n);
  });
}

}  // namespace lockstep::cuda
