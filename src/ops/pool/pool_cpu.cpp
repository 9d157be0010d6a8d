#include "src/ops/pool/pool_cpu.h"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/ops/column_sum.h"
#include "src/ops/store.h"

namespace lockstep::cpu {

namespace {

constexpr int64_t kLanes =
    64;  ///< channels that are processed together: their state stays in the first-level cache

/// A window along one axis: where it starts, the part that lies inside the input, and the elements that the
/// divisor of a mean counts.
struct Span {
  int64_t start, first, end, counted;
  int64_t size() const { return end - first; }
};

std::vector<Span> spans_of(const PoolAxis& axis, bool count_padding) {
  std::vector<Span> spans;
  for (int64_t i = 0; i < axis.outputs; ++i) {
    if (axis.adaptive) {
      const int64_t first = i * axis.inputs / axis.outputs;
      const int64_t end = ((i + 1) * axis.inputs + axis.outputs - 1) / axis.outputs;
      spans.push_back({first, first, end, end - first});
    } else {
      const int64_t start = i * axis.stride - axis.before, end = start + axis.window;
      Span span{start, std::max<int64_t>(start, 0), std::min(end, axis.inputs), 0};
      span.counted = count_padding ? std::min(end, axis.inputs + axis.after) - start : span.size();
      spans.push_back(span);
    }
  }
  return spans;
}

struct Window {
  Span d, h, w;
  int64_t size() const { return d.size() * h.size() * w.size(); }
  int64_t counted() const { return d.counted * h.counted * w.counted; }
};

int64_t inputs_of(const PoolSpec& spec) {
  return spec.axes[0].inputs * spec.axes[1].inputs * spec.axes[2].inputs;
}

/// Calls begin(input sample's offset) for every sample in order, then visit(window, output element of channel
/// 0, the offset) for each of its windows in order, then end(the offset).
template <typename Begin, typename Visit, typename End>
void for_each_window(const PoolSpec& spec, Begin begin, Visit visit, End end) {
  std::array<std::vector<Span>, 3> spans;
  for (size_t axis = 0; axis < 3; ++axis) spans[axis] = spans_of(spec.axes[axis], spec.count_padding);
  const int64_t elements = inputs_of(spec) * spec.c;
  int64_t out = 0;
  for (int64_t n = 0; n < spec.n; ++n) {
    begin(n * elements);
    for (const Span& d : spans[0])
      for (const Span& h : spans[1])
        for (const Span& w : spans[2]) {
          visit(Window{d, h, w}, out, n * elements);
          out += spec.c;
        }
    end(n * elements);
  }
}

template <typename Visit>
void for_each_window(const PoolSpec& spec, Visit visit) {
  for_each_window(
      spec, [](int64_t) {}, visit, [](int64_t) {});
}

/// Calls visit(offset in the sample, position in the window) for the elements of a window inside the input.
template <typename Visit>
void for_each_element(const PoolSpec& spec, const Window& window, Visit visit) {
  const int64_t height = spec.axes[1].inputs, width = spec.axes[2].inputs;
  for (int64_t d = window.d.first; d < window.d.end; ++d)
    for (int64_t h = window.h.first; h < window.h.end; ++h)
      for (int64_t w = window.w.first; w < window.w.end; ++w) {
        const int64_t row = (d - window.d.start) * spec.axes[1].window + h - window.h.start;
        visit(((d * height + h) * width + w) * spec.c,
              static_cast<int32_t>(row * spec.axes[2].window + w - window.w.start));
      }
}

/// Whether every window is exactly 2 x 2 in the last two axes, with no padding and no overlap: the common
/// case, worth its own loop.
bool is_two_by_two(const PoolSpec& spec) {
  const auto is_pair = [](const PoolAxis& axis) {
    return axis.window == 2 && axis.stride == 2 && axis.before == 0 && axis.outputs == axis.inputs / 2;
  };
  const PoolAxis& front = spec.axes[0];
  return front.window == 1 && front.outputs == front.inputs && front.stride == 1 && is_pair(spec.axes[1]) &&
         is_pair(spec.axes[2]);
}

/// Calls add(window, output element of channel 0, sums) for every window in order. The sums of its sample are
/// float, zero at first, and become dx.
template <Real T, typename Add>
void add_windows(const PoolSpec& spec, T* dx, Add add) {
  const int64_t elements = inputs_of(spec) * spec.c;
  std::vector<float> buffer;
  float* sums = nullptr;
  const auto begin = [&](int64_t sample) {
    if constexpr (std::same_as<T, float>) {
      sums = dx + sample;
      std::fill_n(sums, elements, 0.f);
    } else {
      buffer.assign(static_cast<size_t>(elements), 0.f);
      sums = buffer.data();
    }
  };
  const auto end = [&](int64_t sample) {
    if constexpr (!std::same_as<T, float>)
      std::transform(buffer.begin(), buffer.end(), dx + sample, [](float sum) { return T(sum); });
  };
  for_each_window(
      spec, begin, [&](const Window& window, int64_t out, int64_t) { add(window, out, sums); }, end);
}

/// Replaces best by value if value is larger or the first NaN. With masks, because some compilers turn
/// conditionals into branches (g++ 14; 40 times slower).
template <Real T>
inline void take_larger(T value, int32_t position, T& best, int32_t& best_position) {
  const int32_t keep = -static_cast<int32_t>((value <= best) | (best != best));
  best_position = (best_position & keep) | (position & ~keep);
  best = keep != 0 ? best : value;
}

/// The same for many channels.
template <Real T>
void take_larger(const T* __restrict values, int32_t position, int64_t channels, T* __restrict best,
                 int32_t* __restrict best_position) {
  for (int64_t c = 0; c < channels; ++c) take_larger(values[c], position, best[c], best_position[c]);
}

/// A ReLU behind the maximum.
template <Real T>
void cut_off(int64_t channels, T* __restrict best, uint8_t* __restrict argmax) {
  static_assert(kCutOff == 0xFF, "all bits, so that any position becomes it");
  for (int64_t c = 0; c < channels; ++c)
    argmax[c] |= static_cast<uint8_t>(-static_cast<int32_t>(!(best[c] > 0.f)));
  for (int64_t c = 0; c < channels; ++c) store_if(!(best[c] < 0.f), best[c], best[c]);  // NaN stays
}

template <Real T>
void max_of_four(const T* x0, const T* x1, const T* x2, const T* x3, int64_t channels, T* y,
                 uint8_t* argmax) {
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
template <Real T>
void route(const uint8_t* __restrict argmax, const T* __restrict dy, int64_t channels, int32_t position,
           T* __restrict dx) {
  for (int64_t c = 0; c < channels; ++c) {
    const T gradient = dy[c];
    dx[c] = argmax[c] == position ? gradient : T(0.f);
  }
}

template <Real T>
void max_two_by_two(const PoolSpec& spec, const T* x, T* y, uint8_t* argmax) {
  const int64_t c = spec.c, height = spec.axes[1].inputs, row = spec.axes[2].inputs * c;
  for (int64_t image = 0; image < spec.n * spec.axes[0].inputs; ++image)
    for (int64_t oh = 0; oh < spec.axes[1].outputs; ++oh) {
      const T* in = x + (image * height + 2 * oh) * row;
      for (int64_t ow = 0; ow < spec.axes[2].outputs; ++ow, in += 2 * c, y += c, argmax += c) {
        max_of_four(in, in + c, in + row, in + row + c, c, y, argmax);
        if (spec.relu) cut_off(c, y, argmax);
      }
    }
}

template <Real T>
void max_two_by_two_backward(const PoolSpec& spec, const uint8_t* argmax, const T* dy, T* dx) {
  const int64_t c = spec.c, height = spec.axes[1].inputs, width = spec.axes[2].inputs, row = width * c;
  const int64_t out_h = spec.axes[1].outputs, out_w = spec.axes[2].outputs;
  for (int64_t n = 0; n < spec.n * spec.axes[0].inputs; ++n) {
    T* image = dx + n * height * row;
    for (int64_t oh = 0; oh < out_h; ++oh) {
      T* out = image + 2 * oh * row;
      for (int64_t ow = 0; ow < out_w; ++ow, out += 2 * c, dy += c, argmax += c) {
        route(argmax, dy, c, 0, out);
        route(argmax, dy, c, 1, out + c);
        route(argmax, dy, c, 2, out + row);
        route(argmax, dy, c, 3, out + row + c);
      }
      if (width % 2 == 1) {  // no window covers the last column
        std::fill_n(out, c, T(0.f));
        std::fill_n(out + row, c, T(0.f));
      }
    }
    std::fill(image + 2 * out_h * row, image + height * row, T(0.f));
  }
}

}  // namespace

template <Real T>
void max_pool_forward(const PoolSpec& spec, const T* x, T* y, uint8_t* argmax) {
  if (is_two_by_two(spec)) return max_two_by_two(spec, x, y, argmax);
  for_each_window(spec, [&](const Window& window, int64_t out, int64_t sample) {
    for (int64_t first = 0; first < spec.c; first += kLanes) {
      const int64_t width = std::min(kLanes, spec.c - first);
      T best[kLanes];
      int32_t position[kLanes];
      bool empty = true;
      for_each_element(spec, window, [&](int64_t element, int32_t here) {
        const T* in = x + sample + element + first;
        if (empty) {
          std::copy_n(in, width, best);
          std::fill_n(position, width, here);
          empty = false;
        } else {
          take_larger(in, here, width, best, position);
        }
      });
      std::copy_n(best, width, y + out + first);
      for (int64_t c = 0; c < width; ++c) argmax[out + first + c] = static_cast<uint8_t>(position[c]);
      if (spec.relu) cut_off(width, y + out + first, argmax + out + first);
    }
  });
}

template <Real T>
void max_pool_backward(const PoolSpec& spec, const uint8_t* argmax, const T* dy, T* dx) {
  if (is_two_by_two(spec)) return max_two_by_two_backward(spec, argmax, dy, dx);
  add_windows(spec, dx, [&](const Window& window, int64_t out, float* sums) {
    for_each_element(spec, window, [&](int64_t element, int32_t here) {
      float* into = sums + element;
      for (int64_t c = 0; c < spec.c; ++c) into[c] += argmax[out + c] == here ? float{dy[out + c]} : 0;
    });
  });
}

namespace {

/// Sums of more elements than this lose digits in float.
constexpr int64_t kManyElements = 64;

/// y[c] = mean over a window of many elements.
template <Real T>
void average_many(const PoolSpec& spec, const Window& window, const T* sample, T* y) {
  std::vector<double> sums(static_cast<size_t>(spec.c));
  for (int64_t d = window.d.first; d < window.d.end; ++d)
    for (int64_t h = window.h.first; h < window.h.end; ++h) {
      const T* row = sample + ((d * spec.axes[1].inputs + h) * spec.axes[2].inputs + window.w.first) * spec.c;
      column_sum(window.w.size(), spec.c, sums.data(),
                 [=, channels = spec.c](int64_t w, int64_t c) -> float { return row[w * channels + c]; });
    }
  for (size_t c = 0; c < sums.size(); ++c)
    y[c] = T(static_cast<float>(sums[c] / static_cast<double>(window.counted())));
}

}  // namespace

template <Real T>
void average_pool_forward(const PoolSpec& spec, const T* x, T* y) {
  for_each_window(spec, [&](const Window& window, int64_t out, int64_t sample) {
    if (window.size() > kManyElements) return average_many(spec, window, x + sample, y + out);
    const float factor = 1 / static_cast<float>(window.counted());
    for (int64_t first = 0; first < spec.c; first += kLanes) {
      const int64_t width = std::min(kLanes, spec.c - first);
      float sum[kLanes] = {};
      for_each_element(spec, window, [&](int64_t element, int32_t) {
        const T* in = x + sample + element + first;
        for (int64_t c = 0; c < width; ++c) sum[c] += in[c];
      });
      for (int64_t c = 0; c < width; ++c) y[out + first + c] = T(sum[c] * factor);
    }
  });
}

template <Real T>
void average_pool_backward(const PoolSpec& spec, const T* dy, T* dx) {
  add_windows(spec, dx, [&](const Window& window, int64_t out, float* sums) {
    const float factor = 1 / static_cast<float>(window.counted());
    for_each_element(spec, window, [&](int64_t element, int32_t) {
      float* into = sums + element;
      for (int64_t c = 0; c < spec.c; ++c) into[c] += dy[out + c] * factor;
    });
  });
}

template void max_pool_forward<float>(const PoolSpec&, const float*, float*, uint8_t*);
template void max_pool_backward<float>(const PoolSpec&, const uint8_t*, const float*, float*);
template void average_pool_forward<float>(const PoolSpec&, const float*, float*);
template void average_pool_backward<float>(const PoolSpec&, const float*, float*);
template void max_pool_forward<bf16>(const PoolSpec&, const bf16*, bf16*, uint8_t*);
template void max_pool_backward<bf16>(const PoolSpec&, const uint8_t*, const bf16*, bf16*);
template void average_pool_forward<bf16>(const PoolSpec&, const bf16*, bf16*);
template void average_pool_backward<bf16>(const PoolSpec&, const bf16*, bf16*);

}  // namespace lockstep::cpu
