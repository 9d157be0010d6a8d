#include "src/device/kernels/block_reduce.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/conv/conv_geometry.h"
#include "src/ops/conv/conv_kernels.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

template <Real T>
__global__ void direct_forward_kernel(ConvGeometry g, const T* x, const T* w, T* y, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x, taps = g.window.product();
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t k = i % g.filters;
    const int64_t first_channel = k / g.group_filters * g.group_channels;
    float sum = 0.0f;
    for_each_input(g, position_of(i / g.filters, g.out), [&](int64_t tap, int64_t position) {
      const T* values = x + position * g.channels + first_channel;
      const T* filter = w + (k * taps + tap) * g.group_channels;
      for (int64_t c = 0; c < g.group_channels; ++c) sum += values[c] * filter[c];
    });
    y[i] = T(sum);
  }
}

template <Real T>
__global__ void direct_data_gradient_kernel(ConvGeometry g, const T* w, const T* dy, T* dx, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x, taps = g.window.product();
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t c = i % g.channels;
    const int64_t group = c / g.group_channels, first_filter = group * g.group_filters;
    float sum = 0.0f;
    for_each_output(g, position_of(i / g.channels, g.in), [&](int64_t tap, int64_t position) {
      const T* gradients = dy + position * g.filters;
      for (int64_t k = first_filter; k < first_filter + g.group_filters; ++k)
        sum += gradients[k] * w[(k * taps + tap) * g.group_channels + c - group * g.group_channels];
    });
    dx[i] = T(sum);
  }
}

/// A block adds up one weight's gradient over all output positions.
template <Real T>
__global__ void direct_filter_gradient_kernel(ConvGeometry g, const T* x, const T* dy, float* dw, int64_t n) {
  wait_for_previous_kernel();
  __shared__ float shared[kBlock / 32];
  const int64_t positions = g.samples * g.out.product();
  for (int64_t i = blockIdx.x; i < n; i += gridDim.x) {
    const Triple tap = position_of(i / g.group_channels, g.window).at;
    const int64_t k = i / g.group_channels / g.window.product();
    const int64_t channel = k / g.group_filters * g.group_channels + i % g.group_channels;
    float sum = 0.0f;
    for (int64_t p = threadIdx.x; p < positions; p += blockDim.x) {
      const SamplePosition out = position_of(p, g.out);
      const int64_t a = input_of(out.at.a, tap.a, g.padding.a, g.stride.a, g.dilation.a);
      const int64_t b = input_of(out.at.b, tap.b, g.padding.b, g.stride.b, g.dilation.b);
      const int64_t c = input_of(out.at.c, tap.c, g.padding.c, g.stride.c, g.dilation.c);
      if (a < 0 || a >= g.in.a || b < 0 || b >= g.in.b || c < 0 || c >= g.in.c) continue;
      sum += x[index_of(out.sample, a, b, c, g.in) * g.channels + channel] * dy[p * g.filters + k];
    }
    sum = block_reduce(sum, Sum{}, shared);
    if (threadIdx.x == 0) dw[i] = sum;
  }
}

}  // namespace

void direct_conv_forward(Exec exec, const ConvSpec& spec, ConstTensor x, ConstTensor w, Tensor y) {
  const ConvGeometry g(spec);
  const int64_t n = spec.samples * g.out.product() * spec.filters;
  if (n == 0) return;
  with_real(spec.type, [&]<Real T>(T) {
    launch(direct_forward_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), g, x.data<T>(),
           w.data<T>(), y.data<T>(), n);
  });
}

void direct_conv_data_gradient(Exec exec, const ConvSpec& spec, ConstTensor w, ConstTensor dy, Tensor dx) {
  const ConvGeometry g(spec);
  const int64_t n = spec.samples * g.in.product() * spec.channels;
  if (n == 0) return;
  with_real(spec.type, [&]<Real T>(T) {
    launch(direct_data_gradient_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), g,
           w.data<T>(), dy.data<T>(), dx.data<T>(), n);
  });
}

void direct_conv_filter_gradient(Exec exec, const ConvSpec& spec, ConstTensor x, ConstTensor dy, Tensor dw) {
  const ConvGeometry g(spec);
  const int64_t n = spec.weights().elements();
  if (n == 0) return;
  with_real(spec.type, [&]<Real T>(T) {
    launch(direct_filter_gradient_kernel<T>, blocks_for(n, 1), kBlock, 0, compute_stream(exec), g,
           x.data<T>(), dy.data<T>(), dw.data<float>(), n);
  });
}

}  // namespace lockstep::cuda
