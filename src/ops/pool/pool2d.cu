#include "src/device/launch.h"
#include "src/device/long_sum.h"
#include "src/ops/cuda_ops.h"

namespace lockstep::cuda {

namespace {

constexpr int kBlock = 256;

/// The elements of a window that lie inside the input.
struct Window {
  int64_t h_begin, h_end, w_begin, w_end;
  int64_t top, left;  ///< of the whole window, padding included
  __device__ int64_t size() const { return (h_end - h_begin) * (w_end - w_begin); }
};

__device__ Window window_of(const Pool2dSpec& spec, int64_t out_row, int64_t out_column) {
  const int64_t top = out_row * spec.stride_h - spec.pad_h, left = out_column * spec.stride_w - spec.pad_w;
  return {max(top, int64_t{0}),
          min(top + spec.window_h, spec.h),
          max(left, int64_t{0}),
          min(left + spec.window_w, spec.w),
          top,
          left};
}

/// The coordinates of element i of a tensor (N, H, W, C).
struct Position {
  int64_t n, row, column, channel;
};

__device__ Position position_of(int64_t i, int64_t height, int64_t width, int64_t channels) {
  // 64-bit divisions are slow, and few tensors need them.
  if (i <= 0x7fffffff) {
    const uint32_t c = static_cast<uint32_t>(channels), w = static_cast<uint32_t>(width);
    const uint32_t pixel = static_cast<uint32_t>(i) / c, line = pixel / w;
    const uint32_t n = line / static_cast<uint32_t>(height);
    return {n, line - n * static_cast<uint32_t>(height), pixel - line * w,
            static_cast<uint32_t>(i) - pixel * c};
  }
  const int64_t pixel = i / channels, line = pixel / width, n = line / height;
  return {n, line - n * height, pixel - line * width, i - pixel * channels};
}

/// The windows along one axis that contain position i: [first, last].
__device__ int64_t first_window(int64_t i, int64_t pad, int64_t window, int64_t stride) {
  const int64_t before = i + pad - window + 1;
  return before <= 0 ? 0 : (before + stride - 1) / stride;
}
__device__ int64_t last_window(int64_t i, int64_t pad, int64_t stride, int64_t count) {
  return min((i + pad) / stride, count - 1);
}

__global__ void max_forward_kernel(Pool2dSpec spec, int64_t out_h, int64_t out_w, const float* x, float* y,
                                   uint8_t* argmax, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position out = position_of(i, out_h, out_w, spec.c);
    const Window window = window_of(spec, out.row, out.column);
    const float* image = x + out.n * spec.h * spec.w * spec.c + out.channel;
    float best = image[(window.h_begin * spec.w + window.w_begin) * spec.c];
    int64_t where = (window.h_begin - window.top) * spec.window_w + window.w_begin - window.left;
    for (int64_t row = window.h_begin; row < window.h_end; ++row) {
      for (int64_t column = window.w_begin; column < window.w_end; ++column) {
        const float value = image[(row * spec.w + column) * spec.c];
        if (value > best || (isnan(value) && !isnan(best))) {
          best = value;
          where = (row - window.top) * spec.window_w + column - window.left;
        }
      }
    }
    y[i] = best;
    argmax[i] = static_cast<uint8_t>(where);
  }
}

/// Each input element gathers from the windows that contain it, so that no two threads add to one sum.
__global__ void max_backward_kernel(Pool2dSpec spec, int64_t out_h, int64_t out_w, const uint8_t* argmax,
                                    const float* dy, float* dx, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position in = position_of(i, spec.h, spec.w, spec.c);
    const int64_t last_row = last_window(in.row, spec.pad_h, spec.stride_h, out_h);
    const int64_t last_column = last_window(in.column, spec.pad_w, spec.stride_w, out_w);
    float sum = 0.0f;
    for (int64_t row = first_window(in.row, spec.pad_h, spec.window_h, spec.stride_h); row <= last_row;
         ++row) {
      for (int64_t column = first_window(in.column, spec.pad_w, spec.window_w, spec.stride_w);
           column <= last_column; ++column) {
        const int64_t r = in.row - (row * spec.stride_h - spec.pad_h);
        const int64_t s = in.column - (column * spec.stride_w - spec.pad_w);
        const int64_t out = ((in.n * out_h + row) * out_w + column) * spec.c + in.channel;
        if (argmax[out] == r * spec.window_w + s) sum += dy[out];
      }
    }
    dx[i] = sum;
  }
}

__global__ void average_forward_kernel(Pool2dSpec spec, int64_t out_h, int64_t out_w, const float* x,
                                       float* y, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position out = position_of(i, out_h, out_w, spec.c);
    const Window window = window_of(spec, out.row, out.column);
    const float* image = x + out.n * spec.h * spec.w * spec.c + out.channel;
    LongSum sum;
    for (int64_t row = window.h_begin; row < window.h_end; ++row)
      for (int64_t column = window.w_begin; column < window.w_end; ++column)
        sum.add(image[(row * spec.w + column) * spec.c]);
    y[i] = static_cast<float>(sum.value()) / static_cast<float>(window.size());
  }
}

__global__ void average_backward_kernel(Pool2dSpec spec, int64_t out_h, int64_t out_w, const float* dy,
                                        float* dx, int64_t n) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position in = position_of(i, spec.h, spec.w, spec.c);
    const int64_t last_row = last_window(in.row, spec.pad_h, spec.stride_h, out_h);
    const int64_t last_column = last_window(in.column, spec.pad_w, spec.stride_w, out_w);
    float sum = 0.0f;
    for (int64_t row = first_window(in.row, spec.pad_h, spec.window_h, spec.stride_h); row <= last_row;
         ++row) {
      for (int64_t column = first_window(in.column, spec.pad_w, spec.window_w, spec.stride_w);
           column <= last_column; ++column) {
        const float gradient = dy[((in.n * out_h + row) * out_w + column) * spec.c + in.channel];
        sum += gradient / static_cast<float>(window_of(spec, row, column).size());
      }
    }
    dx[i] = sum;
  }
}

constexpr int kChannelTile = 32;
constexpr int kPositionTile = 8;

/// One block averages up to 32 channels of one sample over its positions.
__global__ void global_average_forward_kernel(const float* x, float* y, int64_t samples, int64_t positions,
                                              int64_t channels) {
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
      y[sample * channels + channel] = static_cast<float>(sum / static_cast<double>(positions));
    }
    __syncthreads();  // the next round writes the tile
  }
}

__global__ void global_average_backward_kernel(const float* dy, float* dx, int64_t n, int64_t positions,
                                               int64_t channels) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const Position in = position_of(i, 1, positions, channels);
    dx[i] = dy[in.n * channels + in.channel] / static_cast<float>(positions);
  }
}

}  // namespace

void max_pool2d_forward(Exec exec, const Pool2dSpec& spec, ConstTensor x, Tensor y, Tensor argmax) {
  const int64_t n = y.elements();
  if (n == 0) return;
  launch(max_forward_kernel, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), spec, spec.out_h(),
         spec.out_w(), x.data<float>(), y.data<float>(), argmax.data<uint8_t>(), n);
}

void max_pool2d_backward(Exec exec, const Pool2dSpec& spec, ConstTensor argmax, ConstTensor dy, Tensor dx) {
  const int64_t n = dx.elements();
  if (n == 0) return;
  launch(max_backward_kernel, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), spec, spec.out_h(),
         spec.out_w(), argmax.data<uint8_t>(), dy.data<float>(), dx.data<float>(), n);
}

void average_pool2d_forward(Exec exec, const Pool2dSpec& spec, ConstTensor x, Tensor y) {
  const int64_t n = y.elements();
  if (n == 0) return;
  launch(average_forward_kernel, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), spec, spec.out_h(),
         spec.out_w(), x.data<float>(), y.data<float>(), n);
}

void average_pool2d_backward(Exec exec, const Pool2dSpec& spec, ConstTensor dy, Tensor dx) {
  const int64_t n = dx.elements();
  if (n == 0) return;
  launch(average_backward_kernel, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec), spec, spec.out_h(),
         spec.out_w(), dy.data<float>(), dx.data<float>(), n);
}

void global_average_pool_forward(Exec exec, ConstTensor x, Tensor y) {
  if (y.elements() == 0) return;
  const int64_t samples = y.shape()[0], channels = y.shape()[-1];
  const int64_t tiles = (channels + kChannelTile - 1) / kChannelTile;
  launch(global_average_forward_kernel, blocks_for(samples * tiles, 1), dim3(kChannelTile, kPositionTile), 0,
         compute_stream(exec), x.data<float>(), y.data<float>(), samples, x.elements() / samples / channels,
         channels);
}

void global_average_pool_backward(Exec exec, ConstTensor dy, Tensor dx) {
  const int64_t n = dx.elements();
  if (n == 0) return;
  const int64_t channels = dx.shape()[-1];
  launch(global_average_backward_kernel, blocks_for(n, kBlock), kBlock, 0, compute_stream(exec),
         dy.data<float>(), dx.data<float>(), n, n / dx.shape()[0] / channels, channels);
}

}  // namespace lockstep::cuda
