#include "src/ops/conv/conv2d_direct.h"

#include "src/device/block_reduce.h"
#include "src/device/launch.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// Conv2dSpec and values that kernels derive from it.
struct Geometry {
  Conv2dSpec spec;
  int64_t out_h, out_w;
  int64_t group_c, group_k;  ///< channels and filters of one group

  explicit Geometry(const Conv2dSpec& s)
      : spec(s), out_h(s.out_h()), out_w(s.out_w()), group_c(s.c / s.groups), group_k(s.k / s.groups) {}
};

__global__ void forward_kernel(Geometry g, const float* x, const float* w, float* y, int64_t n) {
  const Conv2dSpec& spec = g.spec;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t k = i % spec.k, out_column = i / spec.k % g.out_w, out_row = i / spec.k / g.out_w % g.out_h;
    const int64_t sample = i / spec.k / g.out_w / g.out_h;
    const int64_t first_channel = k / g.group_k * g.group_c;
    float sum = 0.0f;
    for (int64_t r = 0; r < spec.r; ++r) {
      const int64_t row = out_row * spec.stride_h - spec.pad_h + r * spec.dilation_h;
      if (row < 0 || row >= spec.h) continue;
      for (int64_t s = 0; s < spec.s; ++s) {
        const int64_t column = out_column * spec.stride_w - spec.pad_w + s * spec.dilation_w;
        if (column < 0 || column >= spec.w) continue;
        const float* pixel = x + ((sample * spec.h + row) * spec.w + column) * spec.c + first_channel;
        const float* filter = w + ((k * spec.r + r) * spec.s + s) * g.group_c;
        for (int64_t c = 0; c < g.group_c; ++c) sum += pixel[c] * filter[c];
      }
    }
    y[i] = sum;
  }
}

/// The output position that reads input position i through filter position f along one axis, or -1.
__device__ int64_t output_of(int64_t i, int64_t f, int64_t pad, int64_t stride, int64_t dilation,
                             int64_t count) {
  const int64_t scaled = i + pad - f * dilation;
  if (scaled < 0 || scaled % stride != 0 || scaled / stride >= count) return -1;
  return scaled / stride;
}

__global__ void backward_data_kernel(Geometry g, const float* w, const float* dy, float* dx, int64_t n) {
  const Conv2dSpec& spec = g.spec;
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const int64_t c = i % spec.c, column = i / spec.c % spec.w, row = i / spec.c / spec.w % spec.h;
    const int64_t sample = i / spec.c / spec.w / spec.h;
    const int64_t group = c / g.group_c, first_filter = group * g.group_k;
    float sum = 0.0f;
    for (int64_t r = 0; r < spec.r; ++r) {
      const int64_t out_row = output_of(row, r, spec.pad_h, spec.stride_h, spec.dilation_h, g.out_h);
      if (out_row < 0) continue;
      for (int64_t s = 0; s < spec.s; ++s) {
        const int64_t out_column = output_of(column, s, spec.pad_w, spec.stride_w, spec.dilation_w, g.out_w);
        if (out_column < 0) continue;
        const float* gradient = dy + ((sample * g.out_h + out_row) * g.out_w + out_column) * spec.k;
        for (int64_t k = first_filter; k < first_filter + g.group_k; ++k)
          sum += gradient[k] * w[((k * spec.r + r) * spec.s + s) * g.group_c + c - group * g.group_c];
      }
    }
    dx[i] = sum;
  }
}

/// A block adds up one weight's gradient over all output positions.
__global__ void backward_filter_kernel(Geometry g, const float* x, const float* dy, float* dw, int64_t n) {
  __shared__ float shared[kBlock / 32];
  const Conv2dSpec& spec = g.spec;
  const int64_t positions = spec.n * g.out_h * g.out_w;
  for (int64_t i = blockIdx.x; i < n; i += gridDim.x) {
    const int64_t group_channel = i % g.group_c, s = i / g.group_c % spec.s,
                  r = i / g.group_c / spec.s % spec.r;
    const int64_t k = i / g.group_c / spec.s / spec.r;
    const int64_t c = k / g.group_k * g.group_c + group_channel;
    float sum = 0.0f;
    for (int64_t p = threadIdx.x; p < positions; p += blockDim.x) {
      const int64_t out_column = p % g.out_w, out_row = p / g.out_w % g.out_h, sample = p / g.out_w / g.out_h;
      const int64_t row = out_row * spec.stride_h - spec.pad_h + r * spec.dilation_h;
      const int64_t column = out_column * spec.stride_w - spec.pad_w + s * spec.dilation_w;
      if (row < 0 || row >= spec.h || column < 0 || column >= spec.w) continue;
      sum += x[((sample * spec.h + row) * spec.w + column) * spec.c + c] * dy[p * spec.k + k];
    }
    sum = block_reduce(sum, Sum{}, shared);
    if (threadIdx.x == 0) dw[i] = sum;
  }
}

}  // namespace

void direct_conv2d_forward(Exec exec, const Conv2dSpec& spec, const float* x, const float* w, float* y) {
  const Geometry g(spec);
  const int64_t n = spec.n * g.out_h * g.out_w * spec.k;
  if (n == 0) return;
  launch(forward_kernel, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), g, x, w, y, n);
}

void direct_conv2d_backward_data(Exec exec, const Conv2dSpec& spec, const float* w, const float* dy,
                                 float* dx) {
  const Geometry g(spec);
  const int64_t n = spec.n * spec.h * spec.w * spec.c;
  if (n == 0) return;
  launch(backward_data_kernel, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), g, w, dy, dx, n);
}

void direct_conv2d_backward_filter(Exec exec, const Conv2dSpec& spec, const float* x, const float* dy,
                                   float* dw) {
  const Geometry g(spec);
  const int64_t n = spec.k * spec.r * spec.s * g.group_c;
  if (n == 0) return;
  launch(backward_filter_kernel, blocks_for(n, 1), kBlock, 0, compute_stream(exec), g, x, dy, dw, n);
}

}  // namespace lockstep::cuda
