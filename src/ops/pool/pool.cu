#include <type_traits>

#include "src/device/kernels/adjacent.h"
#include "src/device/kernels/launch.h"
#include "src/device/kernels/long_sum.h"
#include "src/device/kernels/previous_kernel.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// One axis of windows.
struct Axis {
  int64_t inputs, outputs, window, stride, before;
  int64_t counted_from, counted_to;  ///< what a mean's divisor may count
  bool adaptive;

  Axis(const PoolAxis& axis, bool count_padding)
      : inputs(axis.inputs),
        outputs(axis.outputs),
        window(axis.window),
        stride(axis.stride),
        before(axis.before),
        counted_from(count_padding ? -axis.before : 0),
        counted_to(axis.inputs + (count_padding ? axis.after : 0)),
        adaptive(axis.adaptive) {}

  /// Of the whole window, padding included.
  __device__ int64_t start(int64_t output) const {
    return adaptive ? output * inputs / outputs : output * stride - before;
  }
  __device__ int64_t begin(int64_t output) const { return max(start(output), int64_t{0}); }
  __device__ int64_t end(int64_t output) const {
    return adaptive ? ((output + 1) * inputs - 1) / outputs + 1 : min(start(output) + window, inputs);
  }
  __device__ int64_t counted(int64_t output) const {
    if (adaptive) return end(output) - begin(output);
    return min(start(output) + window, counted_to) - max(start(output), counted_from);
  }
  /// The windows that contain an input: [first, last].
  __device__ int64_t first_window(int64_t input) const {
    if (adaptive) return input * outputs / inputs;
    const int64_t missed = input + before - window + 1;
    return missed <= 0 ? 0 : (missed + stride - 1) / stride;
  }
  __device__ int64_t last_window(int64_t input) const {
    return adaptive ? ((input + 1) * outputs - 1) / inputs : min((input + before) / stride, outputs - 1);
  }
};

struct Axes {
  Axis d, h, w;
  int64_t channels;

  explicit Axes(const PoolSpec& spec)
      : d(spec.axes[0], spec.count_padding),
        h(spec.axes[1], spec.count_padding),
        w(spec.axes[2], spec.count_padding),
        channels(spec.c) {}

  __device__ int64_t input(int64_t n, int64_t depth, int64_t row, int64_t column, int64_t channel) const {
    return (((n * d.inputs + depth) * h.inputs + row) * w.inputs + column) * channels + channel;
  }
  __device__ int64_t output(int64_t n, int64_t depth, int64_t row, int64_t column, int64_t channel) const {
    return (((n * d.outputs + depth) * h.outputs + row) * w.outputs + column) * channels + channel;
  }
  __device__ float divisor(int64_t depth, int64_t row, int64_t column) const {
    return static_cast<float>(d.counted(depth) * h.counted(row) * w.counted(column));
  }
};

/// The coordinates of element i of a tensor (N, D, H, W, C).
struct Position {
  int64_t n, depth, row, column, channel;
};

__device__ Position position_of(int64_t i, int64_t depth, int64_t height, int64_t width, int64_t channels) {
  // 64-bit divisions are slow, and few tensors need them.
  if (i <= 0x7fffffff) {
    const uint32_t c = static_cast<uint32_t>(channels), w = static_cast<uint32_t>(width);
    const uint32_t h = static_cast<uint32_t>(height), d = static_cast<uint32_t>(depth);
    const uint32_t pixel = static_cast<uint32_t>(i) / c, line = pixel / w, plane = line / h, n = plane / d;
    return {n, plane - n * d, line - plane * h, pixel - line * w, static_cast<uint32_t>(i) - pixel * c};
  }
  const int64_t pixel = i / channels, line = pixel / width, plane = line / height, n = plane / depth;
  return {n, plane - n * depth, line - plane * height, pixel - line * width, i - pixel * channels};
}

/// A thread handles kWidth adjacent channels, which it reads and writes at once. i counts such groups, of
/// which axes.channels are in a pixel.
template <int kWidth, Real T>
__global__ void max_forward_kernel(Axes axes, bool relu, const Adjacent<T, kWidth>* x, Adjacent<T, kWidth>* y,
                                   Adjacent<uint8_t, kWidth>* argmax, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position out = position_of(i, axes.d.outputs, axes.h.outputs, axes.w.outputs, axes.channels);
    const int64_t top = axes.h.start(out.row), left = axes.w.start(out.column);
    const int64_t front = axes.d.start(out.depth);
    float best[kWidth];
    int where[kWidth];
    bool empty = true;
    for (int64_t depth = axes.d.begin(out.depth); depth < axes.d.end(out.depth); ++depth)
      for (int64_t row = axes.h.begin(out.row); row < axes.h.end(out.row); ++row)
        for (int64_t column = axes.w.begin(out.column); column < axes.w.end(out.column); ++column) {
          const Adjacent<T, kWidth> read = x[axes.input(out.n, depth, row, column, out.channel)];
          const int here =
              static_cast<int>(((depth - front) * axes.h.window + row - top) * axes.w.window + column - left);
          for (int k = 0; k < kWidth; ++k) {
            const float value = read.values[k];
            if (empty || value > best[k] || (isnan(value) && !isnan(best[k]))) {
              best[k] = value;
              where[k] = here;
            }
          }
          empty = false;
        }
    Adjacent<T, kWidth> largest;
    Adjacent<uint8_t, kWidth> position;
    for (int k = 0; k < kWidth; ++k) {
      position.values[k] = relu && !(best[k] > 0.0f) ? kCutOff : static_cast<uint8_t>(where[k]);
      largest.values[k] = T(relu && best[k] < 0.0f ? 0.0f : best[k]);
    }
    y[i] = largest;
    argmax[i] = position;
  }
}

/// Each input element gathers from the windows that contain it, so that no two threads add to one sum.
template <int kWidth, Real T>
__global__ void max_backward_kernel(Axes axes, const Adjacent<uint8_t, kWidth>* argmax,
                                    const Adjacent<T, kWidth>* dy, Adjacent<T, kWidth>* dx, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position in = position_of(i, axes.d.inputs, axes.h.inputs, axes.w.inputs, axes.channels);
    const int64_t last_depth = axes.d.last_window(in.depth), last_row = axes.h.last_window(in.row);
    const int64_t last_column = axes.w.last_window(in.column);
    float sum[kWidth] = {};
    for (int64_t depth = axes.d.first_window(in.depth); depth <= last_depth; ++depth)
      for (int64_t row = axes.h.first_window(in.row); row <= last_row; ++row)
        for (int64_t column = axes.w.first_window(in.column); column <= last_column; ++column) {
          const int64_t q = in.depth - axes.d.start(depth), r = in.row - axes.h.start(row);
          const int64_t s = in.column - axes.w.start(column);
          const int64_t out = axes.output(in.n, depth, row, column, in.channel);
          const Adjacent<uint8_t, kWidth> position = argmax[out];
          const Adjacent<T, kWidth> gradient = dy[out];
          const int64_t here = (q * axes.h.window + r) * axes.w.window + s;
          for (int k = 0; k < kWidth; ++k)
            if (position.values[k] == here) sum[k] += gradient.values[k];
        }
    Adjacent<T, kWidth> written;
    for (int k = 0; k < kWidth; ++k) written.values[k] = T(sum[k]);
    dx[i] = written;
  }
}

template <Real T>
__global__ void average_forward_kernel(Axes axes, const T* x, T* y, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position out = position_of(i, axes.d.outputs, axes.h.outputs, axes.w.outputs, axes.channels);
    LongSum sum;
    for (int64_t depth = axes.d.begin(out.depth); depth < axes.d.end(out.depth); ++depth)
      for (int64_t row = axes.h.begin(out.row); row < axes.h.end(out.row); ++row)
        for (int64_t column = axes.w.begin(out.column); column < axes.w.end(out.column); ++column)
          sum.add(x[axes.input(out.n, depth, row, column, out.channel)]);
    y[i] = T(static_cast<float>(sum.value()) / axes.divisor(out.depth, out.row, out.column));
  }
}

template <Real T>
__global__ void average_backward_kernel(Axes axes, const T* dy, T* dx, int64_t n) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position in = position_of(i, axes.d.inputs, axes.h.inputs, axes.w.inputs, axes.channels);
    const int64_t last_depth = axes.d.last_window(in.depth), last_row = axes.h.last_window(in.row);
    const int64_t last_column = axes.w.last_window(in.column);
    float sum = 0.0f;
    for (int64_t depth = axes.d.first_window(in.depth); depth <= last_depth; ++depth)
      for (int64_t row = axes.h.first_window(in.row); row <= last_row; ++row)
        for (int64_t column = axes.w.first_window(in.column); column <= last_column; ++column)
          sum += dy[axes.output(in.n, depth, row, column, in.channel)] / axes.divisor(depth, row, column);
    dx[i] = T(sum);
  }
}

constexpr int kChannelTile = 32;
constexpr int kPositionTile = 8;

/// One block averages up to 32 channels of one sample over its positions.
template <Real T>
__global__ void global_average_forward_kernel(const T* x, T* y, int64_t samples, int64_t positions,
                                              int64_t channels) {
  wait_for_previous_kernel();
  __shared__ double tile[kPositionTile][kChannelTile];
  const int64_t tiles = (channels + kChannelTile - 1) / kChannelTile;
  for (int64_t block = blockIdx.x; block < samples * tiles; block += gridDim.x) {
    const int64_t sample = block / tiles, channel = block % tiles * kChannelTile + threadIdx.x;
    LongSum mine;
    if (channel < channels)
      for (int64_t p = threadIdx.y; p < positions; p += kPositionTile)
        mine.add(x[(sample * positions + p) * channels + channel]);
    double sum = mine.value();
    tile[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y == 0 && channel < channels) {
      for (int i = 1; i < kPositionTile; ++i) sum += tile[i][threadIdx.x];
      y[sample * channels + channel] = T(static_cast<float>(sum / static_cast<double>(positions)));
    }
    __syncthreads();  // the next round writes the tile
  }
}

template <Real T>
__global__ void global_average_backward_kernel(const T* dy, T* dx, int64_t n, int64_t positions,
                                               int64_t channels) {
  wait_for_previous_kernel();
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position in = position_of(i, 1, 1, positions, channels);
    dx[i] = T(dy[in.n * channels + in.channel] / static_cast<float>(positions));
  }
}

}  // namespace

namespace {

/// The same tensor as groups of adjacent channels.
template <int kWidth, typename T>
auto groups(T* values) {
  using Group = Adjacent<std::remove_const_t<T>, kWidth>;
  return reinterpret_cast<std::conditional_t<std::is_const_v<T>, const Group*, Group*>>(values);
}

/// Calls use(std::integral_constant<int, width>, axes) for pools of T whose tensors are x (or dx), y (or dy)
/// and argmax.
template <Real T, typename Use>
void with_width(const PoolSpec& spec, const void* x, const void* y, const void* argmax, Use use) {
  constexpr int kWidth = 16 / sizeof(T);
  Axes axes(spec);
  const bool aligned = is_vector_aligned(x) && is_vector_aligned(y) && is_vector_aligned(argmax);
  if (!aligned || axes.channels % kWidth != 0) return use(std::integral_constant<int, 1>{}, axes);
  axes.channels /= kWidth;
  use(std::integral_constant<int, kWidth>{}, axes);
}

}  // namespace

void max_pool_forward(Exec exec, const PoolSpec& spec, ConstTensor x, Tensor y, Tensor argmax) {
  with_real(y.dtype(), [&]<Real T>(T) {
    const auto run = [&]<int kWidth>(std::integral_constant<int, kWidth>, const Axes& axes) {
      const int64_t n = y.elements() / kWidth;
      launch(max_forward_kernel<kWidth, T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), axes,
             spec.relu, groups<kWidth>(x.data<T>()), groups<kWidth>(y.data<T>()),
             groups<kWidth>(argmax.data<uint8_t>()), n);
    };
    with_width<T>(spec, x.raw(), y.raw(), argmax.raw(), run);
  });
}

void max_pool_backward(Exec exec, const PoolSpec& spec, ConstTensor argmax, ConstTensor dy, Tensor dx) {
  with_real(dx.dtype(), [&]<Real T>(T) {
    const auto run = [&]<int kWidth>(std::integral_constant<int, kWidth>, const Axes& axes) {
      const int64_t n = dx.elements() / kWidth;
      launch(max_backward_kernel<kWidth, T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), axes,
             groups<kWidth>(argmax.data<uint8_t>()), groups<kWidth>(dy.data<T>()),
             groups<kWidth>(dx.data<T>()), n);
    };
    with_width<T>(spec, dx.raw(), dy.raw(), argmax.raw(), run);
  });
}

void average_pool_forward(Exec exec, const PoolSpec& spec, ConstTensor x, Tensor y) {
  const int64_t n = y.elements();
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(average_forward_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), Axes(spec),
           x.data<T>(), y.data<T>(), n);
  });
}

void average_pool_backward(Exec exec, const PoolSpec& spec, ConstTensor dy, Tensor dx) {
  const int64_t n = dx.elements();
  with_real(dx.dtype(), [&]<Real T>(T) {
    launch(average_backward_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), Axes(spec),
           dy.data<T>(), dx.data<T>(), n);
  });
}

void global_average_pool_forward(Exec exec, ConstTensor x, Tensor y) {
  if (y.elements() == 0) return;
  const int64_t samples = y.shape()[0], channels = y.shape()[-1];
  const int64_t tiles = (channels + kChannelTile - 1) / kChannelTile;
  with_real(y.dtype(), [&]<Real T>(T) {
    launch(global_average_forward_kernel<T>, blocks_for(samples * tiles, 1),
           dim3(kChannelTile, kPositionTile), 0, compute_stream(exec), x.data<T>(), y.data<T>(), samples,
           x.elements() / samples / channels, channels);
  });
}

void global_average_pool_backward(Exec exec, ConstTensor dy, Tensor dx) {
  const int64_t n = dx.elements();
  if (n == 0) return;
  const int64_t channels = dx.shape()[-1];
  with_real(dx.dtype(), [&]<Real T>(T) {
    launch(global_average_backward_kernel<T>, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec),
           dy.data<T>(), dx.data<T>(), n, n / dx.shape()[0] / channels, channels);
  });
}

}  // namespace lockstep::cuda
