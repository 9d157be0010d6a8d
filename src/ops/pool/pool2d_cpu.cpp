#include "src/ops/pool/pool2d_cpu.h"

#include <algorithm>
#include <vector>

#include "src/ops/column_sum.h"

namespace lockstep::cpu {

namespace {

constexpr int64_t kLanes =
    64;  ///< channels that are processed together: their state stays in the first-level cache

/// The part of a window that lies inside the input, and where the window starts.
struct Window {
  int64_t top, left, first_h, end_h, first_w, end_w;
  int64_t area() const { return (end_h - first_h) * (end_w - first_w); }
};

Window window_at(const Pool2dSpec& spec, int64_t out_h, int64_t out_w) {
  const int64_t top = out_h * spec.stride_h - spec.pad_h, left = out_w * spec.stride_w - spec.pad_w;
  return {top,
          left,
          std::max<int64_t>(top, 0),
          std::min(top + spec.window_h, spec.h),
          std::max<int64_t>(left, 0),
          std::min(left + spec.window_w, spec.w)};
}

/// Calls visit(window, output element of channel 0, input sample's offset) for every window of the batch in
/// order.
template <typename Visit>
void for_each_window(const Pool2dSpec& spec, Visit visit) {
  const int64_t out_h = spec.out_h(), out_w = spec.out_w();
  int64_t out = 0;
  for (int64_t n = 0; n < spec.n; ++n)
    for (int64_t oh = 0; oh < out_h; ++oh)
      for (int64_t ow = 0; ow < out_w; ++ow, out += spec.c)
        visit(window_at(spec, oh, ow), out, n * spec.h * spec.w * spec.c);
}

/// Whether every window is exactly 2 x 2, with no padding and no overlap: the common case, worth its own
/// loop.
bool is_two_by_two(const Pool2dSpec& spec) {
  return spec.window_h == 2 && spec.window_w == 2 && spec.stride_h == 2 && spec.stride_w == 2 &&
         spec.pad_h == 0 && spec.pad_w == 0;
}

/// Replaces best by value if value is larger or the first NaN. With masks, because some compilers turn
/// conditionals into branches (g++ 14; 40 times slower).
inline void take_larger(float value, int32_t position, float& best, int32_t& best_position) {
  const int32_t keep = -static_cast<int32_t>((value <= best) | (best != best));
  best_position = (best_position & keep) | (position & ~keep);
  best = keep != 0 ? best : value;
}

/// The same for many channels.
void take_larger(const float* __restrict values, int32_t position, int64_t channels, float* __restrict best,
                 int32_t* __restrict best_position) {
  for (int64_t c = 0; c < channels; ++c) take_larger(values[c], position, best[c], best_position[c]);
}

void max_of_four(const float* x0, const float* x1, const float* x2, const float* x3, int64_t channels,
                 float* y, uint8_t* argmax) {
  for (int64_t first = 0; first < channels; first += kLanes) {
    const int64_t width = std::min(kLanes, channels - first);
    int32_t position[kLanes] = {};
    std::copy_n(x0 + first, width, y + first);
    take_larger(x1 + first, 1, width, y + first, position);
    take_larger(x2 + first, 2, width, y + first, position);
    take_larger(x3 + first, 3, width, y + first, position);
    for (int64_t c = 0; c < width; ++c) argmax[first + c] = static_cast<uint8_t>(position[c]);
  }
}

// One position at a time: the compiler turns four comparisons in one loop into branches.
void route(const uint8_t* __restrict argmax, const float* __restrict dy, int64_t channels, int32_t position,
           float* __restrict dx) {
  for (int64_t c = 0; c < channels; ++c) {
    const float gradient = dy[c];
    dx[c] = argmax[c] == position ? gradient : 0;
  }
}

void max_two_by_two(const Pool2dSpec& spec, const float* x, float* y, uint8_t* argmax) {
  const int64_t c = spec.c, row = spec.w * c, out_h = spec.out_h(), out_w = spec.out_w();
  for (int64_t n = 0; n < spec.n; ++n)
    for (int64_t oh = 0; oh < out_h; ++oh) {
      const float* in = x + (n * spec.h + 2 * oh) * row;
      for (int64_t ow = 0; ow < out_w; ++ow, in += 2 * c, y += c, argmax += c)
        max_of_four(in, in + c, in + row, in + row + c, c, y, argmax);
    }
}

void max_two_by_two_backward(const Pool2dSpec& spec, const uint8_t* argmax, const float* dy, float* dx) {
  const int64_t c = spec.c, row = spec.w * c, out_h = spec.out_h(), out_w = spec.out_w();
  for (int64_t n = 0; n < spec.n; ++n) {
    float* sample = dx + n * spec.h * row;
    for (int64_t oh = 0; oh < out_h; ++oh) {
      float* out = sample + 2 * oh * row;
      for (int64_t ow = 0; ow < out_w; ++ow, out += 2 * c, dy += c, argmax += c) {
        route(argmax, dy, c, 0, out);
        route(argmax, dy, c, 1, out + c);
        route(argmax, dy, c, 2, out + row);
        route(argmax, dy, c, 3, out + row + c);
      }
      if (spec.w % 2 == 1) {  // no window covers the last column
        std::fill_n(out, c, 0.f);
        std::fill_n(out + row, c, 0.f);
      }
    }
    std::fill(sample + 2 * out_h * row, sample + spec.h * row, 0.f);
  }
}

}  // namespace

void max_pool2d_forward(const Pool2dSpec& spec, const float* x, float* y, uint8_t* argmax) {
  if (is_two_by_two(spec)) return max_two_by_two(spec, x, y, argmax);
  for_each_window(spec, [&](const Window& window, int64_t out, int64_t sample) {
    for (int64_t first = 0; first < spec.c; first += kLanes) {
      const int64_t width = std::min(kLanes, spec.c - first);
      float best[kLanes];
      int32_t position[kLanes];
      bool empty = true;
      for (int64_t h = window.first_h; h < window.end_h; ++h)
        for (int64_t w = window.first_w; w < window.end_w; ++w) {
          const float* in = x + sample + (h * spec.w + w) * spec.c + first;
          const auto here = static_cast<int32_t>((h - window.top) * spec.window_w + (w - window.left));
          if (empty) {
            std::copy_n(in, width, best);
            std::fill_n(position, width, here);
            empty = false;
          } else {
            take_larger(in, here, width, best, position);
          }
        }
      std::copy_n(best, width, y + out + first);
      for (int64_t c = 0; c < width; ++c) argmax[out + first + c] = static_cast<uint8_t>(position[c]);
    }
  });
}

void max_pool2d_backward(const Pool2dSpec& spec, const uint8_t* argmax, const float* dy, float* dx) {
  if (is_two_by_two(spec)) return max_two_by_two_backward(spec, argmax, dy, dx);
  std::fill_n(dx, spec.n * spec.h * spec.w * spec.c, 0.f);
  for_each_window(spec, [&](const Window& window, int64_t out, int64_t sample) {
    for (int64_t h = window.first_h; h < window.end_h; ++h)
      for (int64_t w = window.first_w; w < window.end_w; ++w) {
        float* into = dx + sample + (h * spec.w + w) * spec.c;
        const auto here = static_cast<int32_t>((h - window.top) * spec.window_w + (w - window.left));
        for (int64_t c = 0; c < spec.c; ++c) into[c] += argmax[out + c] == here ? dy[out + c] : 0;
      }
  });
}

namespace {

/// Sums of more elements than this lose digits in float.
constexpr int64_t kManyElements = 64;

/// y[c] = mean over a window of many elements.
void average_many(const Pool2dSpec& spec, const Window& window, const float* sample, float* y) {
  std::vector<double> sums(static_cast<size_t>(spec.c));
  for (int64_t h = window.first_h; h < window.end_h; ++h) {
    const float* row = sample + (h * spec.w + window.first_w) * spec.c;
    column_sum(window.end_w - window.first_w, spec.c, sums.data(),
               [=, channels = spec.c](int64_t w, int64_t c) { return row[w * channels + c]; });
  }
  for (size_t c = 0; c < sums.size(); ++c)
    y[c] = static_cast<float>(sums[c] / static_cast<double>(window.area()));
}

}  // namespace

void average_pool2d_forward(const Pool2dSpec& spec, const float* x, float* y) {
  for_each_window(spec, [&](const Window& window, int64_t out, int64_t sample) {
    if (window.area() > kManyElements) return average_many(spec, window, x + sample, y + out);
    const float divisor = 1 / static_cast<float>(window.area());
    for (int64_t first = 0; first < spec.c; first += kLanes) {
      const int64_t width = std::min(kLanes, spec.c - first);
      float sum[kLanes] = {};
      for (int64_t h = window.first_h; h < window.end_h; ++h)
        for (int64_t w = window.first_w; w < window.end_w; ++w) {
          const float* in = x + sample + (h * spec.w + w) * spec.c + first;
          for (int64_t c = 0; c < width; ++c) sum[c] += in[c];
        }
      for (int64_t c = 0; c < width; ++c) y[out + first + c] = sum[c] * divisor;
    }
  });
}

void average_pool2d_backward(const Pool2dSpec& spec, const float* dy, float* dx) {
  std::fill_n(dx, spec.n * spec.h * spec.w * spec.c, 0.f);
  for_each_window(spec, [&](const Window& window, int64_t out, int64_t sample) {
    const float divisor = 1 / static_cast<float>(window.area());
    for (int64_t h = window.first_h; h < window.end_h; ++h)
      for (int64_t w = window.first_w; w < window.end_w; ++w) {
        float* into = dx + sample + (h * spec.w + w) * spec.c;
        for (int64_t c = 0; c < spec.c; ++c) into[c] += dy[out + c] * divisor;
      }
  });
}

void global_average_pool_forward(int64_t samples, int64_t positions, int64_t channels, const float* x,
                                 float* y) {
  std::vector<double> sums(static_cast<size_t>(channels));
  for (int64_t n = 0; n < samples; ++n, x += positions * channels, y += channels) {
    std::fill(sums.begin(), sums.end(), 0.0);
    column_sum(positions, channels, sums.data(),
               [=](int64_t position, int64_t c) { return x[position * channels + c]; });
    for (size_t c = 0; c < sums.size(); ++c)
      y[c] = static_cast<float>(sums[c] / static_cast<double>(positions));
  }
}

void global_average_pool_backward(int64_t samples, int64_t positions, int64_t channels, const float* dy,
                                  float* dx) {
  const float divisor = 1 / static_cast<float>(positions);
  for (int64_t n = 0; n < samples; ++n, dy += channels)
    for (int64_t position = 0; position < positions; ++position, dx += channels)
      for (int64_t c = 0; c < channels; ++c) dx[c] = dy[c] * divisor;
}

}  // namespace lockstep::cpu
