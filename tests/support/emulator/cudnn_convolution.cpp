#include "tests/support/emulator/cudnn_convolution.h"

#include <vector>

namespace emulator::cudnn {

namespace {

/// Calls tap(x, w, y) with the offsets of each product's factors, for the first channel of its group.
template <typename Tap>
void for_each_tap(const Problem& p, Tap tap) {
  const Convolution& conv = p.convolution;
  const Strides x = p.x.strides(), w = p.w.strides(), y = p.y.strides();
  const int64_t filters_a_group = p.w.n / conv.groups;
  for (int64_t n = 0; n < p.y.n; ++n)
    for (int64_t oh = 0; oh < p.y.h; ++oh)
      for (int64_t ow = 0; ow < p.y.w; ++ow)
        for (int64_t r = 0; r < p.w.h; ++r) {
          const int64_t h = oh * conv.stride_h - conv.pad_h + r * conv.dilation_h;
          if (h < 0 || h >= p.x.h) continue;
          for (int64_t s = 0; s < p.w.w; ++s) {
            const int64_t iw = ow * conv.stride_w - conv.pad_w + s * conv.dilation_w;
            if (iw < 0 || iw >= p.x.w) continue;
            for (int64_t k = 0; k < p.w.n; ++k) {
              const int64_t first_channel = k / filters_a_group * p.w.c;
              tap(n * x.n + h * x.h + iw * x.w + first_channel * x.c, k * w.n + r * w.h + s * w.w,
                  n * y.n + oh * y.h + ow * y.w + k * y.c);
            }
          }
        }
}

}  // namespace

void run(Direction direction, const Problem& p, const Arguments& arguments, size_t scratch_bytes,
         bool steady) {
  scribble(arguments.workspace, scratch_bytes);
  const Tensor& result = direction == Direction::forward ? p.y : direction == Direction::data ? p.x : p.w;
  std::vector<double> sums(static_cast<size_t>(result.elements()));
  double* sum = sums.data();
  const float *x_data = arguments.x, *w_data = arguments.w, *y_data = arguments.y;
  const int64_t channels = p.w.c, x_stride = p.x.strides().c, w_stride = p.w.strides().c;
  switch (direction) {
    case Direction::forward:
      for_each_tap(p, [=](int64_t x, int64_t w, int64_t y) {
        double dot = 0;
        for (int64_t c = 0; c < channels; ++c)
          dot += double{x_data[x + c * x_stride]} * w_data[w + c * w_stride];
        sum[y] += dot;
      });
      break;
    case Direction::data:
      for_each_tap(p, [=](int64_t x, int64_t w, int64_t y) {
        const double factor = y_data[y];
        for (int64_t c = 0; c < channels; ++c) sum[x + c * x_stride] += factor * w_data[w + c * w_stride];
      });
      break;
    case Direction::filter:
      for_each_tap(p, [=](int64_t x, int64_t w, int64_t y) {
        const double factor = y_data[y];
        for (int64_t c = 0; c < channels; ++c) sum[w + c * w_stride] += factor * x_data[x + c * x_stride];
      });
      break;
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    const auto value = static_cast<float>(steady ? sums[i] : unsteady(sums[i]));
    // With beta 0 the result is not read: it may be NaN.
    arguments.result[i] =
        arguments.alpha * value + (arguments.beta == 0 ? 0 : arguments.beta * arguments.result[i]);
  }
}

}  // namespace emulator::cudnn
