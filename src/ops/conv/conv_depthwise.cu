#include <algorithm>

#include "src/device/kernels/launch.h"
#include "src/device/kernels/long_sum.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/conv/conv_geometry.h"
#include "src/ops/conv/conv_kernels.h"
#include "src/tensor/real.h"

// Depthwise convolution multiplies little and reads much: what counts is that a warp reads 32 adjacent
// channels, that a filter is read once a block, and that positions are divided into coordinates rarely.
namespace lockstep::cuda {

namespace {

constexpr int kColumns = 32;  // channels of a block
constexpr int kRows = 8;
constexpr int kMaxWeights = 128;  // of a channel, in shared memory
constexpr int64_t kMaxChunks = 128;

/// Loads `count` adjacent weights of each of the block's columns.
template <Real T>
__device__ void load_weights(float (*weights)[kColumns], const T* w, int64_t column, int64_t columns,
                             int64_t count) {
  if (column < columns)
    for (int64_t i = threadIdx.y; i < count; i += kRows) weights[i][threadIdx.x] = w[column * count + i];
  __syncthreads();
}

template <Real T>
__global__ void depthwise_forward_kernel(ConvGeometry g, const T* x, const T* w, T* y, int64_t positions) {
  wait_for_previous_kernel();
  __shared__ float weights[kMaxWeights][kColumns];
  const int64_t k = int64_t{blockIdx.x} * kColumns + threadIdx.x;
  load_weights(weights, w, k, g.filters, g.window.product());
  if (k >= g.filters) return;
  const int64_t channel = k / g.group_filters, stride = int64_t{gridDim.y} * kRows;
  for (int64_t p = int64_t{blockIdx.y} * kRows + threadIdx.y; p < positions; p += stride) {
    float sum = 0.0f;
    for_each_input(g, position_of(p, g.out), [&](int64_t tap, int64_t position) {
      sum += x[position * g.channels + channel] * weights[tap][threadIdx.x];
    });
    y[p * g.filters + k] = T(sum);
  }
}

template <Real T>
__global__ void depthwise_data_gradient_kernel(ConvGeometry g, const T* w, const T* dy, T* dx,
                                               int64_t positions) {
  wait_for_previous_kernel();
  __shared__ float weights[kMaxWeights][kColumns];
  const int64_t c = int64_t{blockIdx.x} * kColumns + threadIdx.x, taps = g.window.product();
  load_weights(weights, w, c, g.channels, g.group_filters * taps);
  if (c >= g.channels) return;
  const int64_t stride = int64_t{gridDim.y} * kRows;
  for (int64_t p = int64_t{blockIdx.y} * kRows + threadIdx.y; p < positions; p += stride) {
    float sum = 0.0f;
    for_each_output(g, position_of(p, g.in), [&](int64_t tap, int64_t position) {
      const T* gradients = dy + position * g.filters + c * g.group_filters;
      for (int64_t k = 0; k < g.group_filters; ++k)
        sum += gradients[k] * weights[k * taps + tap][threadIdx.x];
    });
    dx[p * g.channels + c] = T(sum);
  }
}

/// Adds up the gradients of the filter element blockIdx.z over the chunk blockIdx.y of the output's lines
/// (positions along the last axis). A single chunk stores them in dw, several in partial (chunks, taps,
/// filters).
template <Real T>
__global__ void depthwise_filter_gradient_kernel(ConvGeometry g, const T* x, const T* dy, float* dw,
                                                 double* partial, int64_t lines, int64_t lines_per_chunk) {
  wait_for_previous_kernel();
  __shared__ double sums[kRows][kColumns];
  const int64_t k = int64_t{blockIdx.x} * kColumns + threadIdx.x, taps = gridDim.z, tap = blockIdx.z;
  const Triple element = position_of(tap, g.window).at;
  const int64_t begin = int64_t{blockIdx.y} * lines_per_chunk, end = min(begin + lines_per_chunk, lines);
  LongSum sum;
  for (int64_t line = begin; k < g.filters && line < end; ++line) {
    const SamplePosition out = position_of(line, {g.out.a, g.out.b, 1});
    const int64_t a = input_of(out.at.a, element.a, g.padding.a, g.stride.a, g.dilation.a);
    const int64_t b = input_of(out.at.b, element.b, g.padding.b, g.stride.b, g.dilation.b);
    if (a < 0 || a >= g.in.a || b < 0 || b >= g.in.b) continue;
    const T* inputs = x + index_of(out.sample, a, b, 0, g.in) * g.channels + k / g.group_filters;
    const T* gradients = dy + line * g.out.c * g.filters + k;
    for (int64_t i = threadIdx.y; i < g.out.c; i += kRows) {
      const int64_t c = input_of(i, element.c, g.padding.c, g.stride.c, g.dilation.c);
      if (c >= 0 && c < g.in.c) sum.add(inputs[c * g.channels] * gradients[i * g.filters]);
    }
  }
  sums[threadIdx.y][threadIdx.x] = sum.value();
  __syncthreads();
  if (threadIdx.y != 0 || k >= g.filters) return;
  double total = sums[0][threadIdx.x];
  for (int row = 1; row < kRows; ++row) total += sums[row][threadIdx.x];
  if (gridDim.y == 1)
    dw[k * taps + tap] = static_cast<float>(total);
  else
    partial[(blockIdx.y * taps + tap) * g.filters + k] = total;
}

/// Adds the chunks' sums in order.
__global__ void depthwise_filter_finish_kernel(float* dw, const double* partial, int64_t filters,
                                               int64_t taps, int64_t chunks) {
  wait_for_previous_kernel();
  const int64_t n = filters * taps, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    double total = partial[i];
    for (int64_t chunk = 1; chunk < chunks; ++chunk) total += partial[chunk * n + i];
    dw[i % filters * taps + i / filters] = static_cast<float>(total);
  }
}

unsigned tiles_of(int64_t columns) { return static_cast<unsigned>((columns + kColumns - 1) / kColumns); }

}  // namespace

bool is_depthwise(const ConvSpec& spec) {
  return spec.groups > 1 && spec.groups == spec.channels && spec.taps() <= kMaxWeights &&
         spec.taps() * (spec.filters / spec.groups) <= kMaxWeights;
}

void depthwise_conv_forward(Exec exec, const ConvSpec& spec, ConstTensor x, ConstTensor w, Tensor y) {
  const ConvGeometry g(spec);
  const int64_t positions = spec.samples * g.out.product();
  if (positions == 0) return;
  with_real(spec.type, [&]<Real T>(T) {
    launch(depthwise_forward_kernel<T>, dim3(tiles_of(spec.filters), blocks_for(positions, 4 * kRows)),
           dim3(kColumns, kRows), 0, compute_stream(exec), g, x.data<T>(), w.data<T>(), y.data<T>(),
           positions);
  });
}

void depthwise_conv_data_gradient(Exec exec, const ConvSpec& spec, ConstTensor w, ConstTensor dy, Tensor dx) {
  const ConvGeometry g(spec);
  const int64_t positions = spec.samples * g.in.product();
  if (positions == 0) return;
  with_real(spec.type, [&]<Real T>(T) {
    launch(depthwise_data_gradient_kernel<T>, dim3(tiles_of(spec.channels), blocks_for(positions, 4 * kRows)),
           dim3(kColumns, kRows), 0, compute_stream(exec), g, w.data<T>(), dy.data<T>(), dx.data<T>(),
           positions);
  });
}

void depthwise_conv_filter_gradient(Exec exec, const ConvSpec& spec, ConstTensor x, ConstTensor dy,
                                    Tensor dw) {
  const ConvGeometry g(spec);
  const int64_t lines = spec.samples * g.out.a * g.out.b, taps = g.window.product();
  // How the lines are split, and therefore the order of summation, depends only on the shape.
  const int64_t in_scratch = static_cast<int64_t>(kScratchBytes / sizeof(double)) / (taps * spec.filters);
  const int64_t wanted = (lines * g.out.c + 16 * kRows - 1) / (16 * kRows);
  const int64_t chunks = std::max<int64_t>(1, std::min({wanted, in_scratch, lines, kMaxChunks}));
  const int64_t lines_per_chunk = (lines + chunks - 1) / chunks;
  double* partial = static_cast<double*>(scratch(exec));
  with_real(spec.type, [&]<Real T>(T) {
    launch(depthwise_filter_gradient_kernel<T>,
           dim3(tiles_of(spec.filters), static_cast<unsigned>(chunks), static_cast<unsigned>(taps)),
           dim3(kColumns, kRows), 0, compute_stream(exec), g, x.data<T>(), dy.data<T>(), dw.data<float>(),
           partial, lines, lines_per_chunk);
  });
  if (chunks > 1)
    launch(depthwise_filter_finish_kernel, blocks_for(spec.filters * taps, 128), 128, 0, compute_stream(exec),
           dw.data<float>(), partial, spec.filters, taps, chunks);
}

}  // namespace lockstep::cuda
