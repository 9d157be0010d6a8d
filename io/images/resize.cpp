#include <algorithm>
#include <cmath>

#include "io/images/pixels.h"
#include "src/core/error.h"

namespace lockstep::images {

namespace {

// Weights have 16 bits, and what lies between the two passes has 16, so that all sums fit into 32.
constexpr int kWeightBits = 16, kBetweenBits = 8;

/// A stretch of an axis of the source, in its pixels.
struct Window {
  double begin = 0, length = 0;
};

/// The source pixels of one pixel of the result, and what each counts; together 2^kWeightBits.
struct Taps {
  int64_t first = 0;
  std::vector<uint32_t> weights;
};

Taps taps_of(int64_t index, int64_t source, Window window, double scale) {
  const double reach = std::max(scale, 1.0);
  const double center = window.begin + (static_cast<double>(index) + 0.5) * scale;
  const auto first = std::max<int64_t>(0, std::llround(std::floor(center - reach)));
  const auto end = std::min<int64_t>(source, std::llround(std::ceil(center + reach)));
  std::vector<double> shares;
  double sum = 0;
  for (int64_t i = first; i < end; ++i) {
    const double distance = std::abs(static_cast<double>(i) + 0.5 - center) / reach;
    shares.push_back(std::max(0.0, 1 - distance));
    sum += shares.back();
  }
  INVARIANT(sum > 0, "no pixel at {} of {}", center, source);
  Taps taps{first, {}};
  // By the cumulated share, so that rounding leaves the whole sum exact.
  double cumulated = 0;
  uint32_t given = 0;
  for (const double share : shares) {
    cumulated += share;
    const auto until = static_cast<uint32_t>(std::llround(cumulated / sum * (1 << kWeightBits)));
    taps.weights.push_back(until - given);
    given = until;
  }
  return taps;
}

std::vector<Taps> taps_along(int64_t source, Window window, int64_t extent) {
  std::vector<Taps> taps;
  for (int64_t i = 0; i < extent; ++i)
    taps.push_back(taps_of(i, source, window, window.length / static_cast<double>(extent)));
  return taps;
}

Pixels scaled(const Pixels& image, Window rows, Window columns, int64_t height, int64_t width) {
  const int64_t channels = image.size.channels;
  const std::vector<Taps> down = taps_along(image.size.height, rows, height);
  const std::vector<Taps> across = taps_along(image.size.width, columns, width);
  const int64_t first = down.front().first;
  const int64_t end = down.back().first + static_cast<int64_t>(down.back().weights.size());
  const auto row_values = static_cast<size_t>(width * channels);
  std::vector<uint16_t> between(static_cast<size_t>(end - first) * row_values);
  uint16_t* out = between.data();
  for (int64_t y = first; y < end; ++y) {
    const std::byte* const row = image.values.data() + y * image.size.width * channels;
    for (const Taps& taps : across)
      for (int64_t c = 0; c < channels; ++c) {
        uint32_t sum = 1u << (kWeightBits - kBetweenBits - 1);
        const std::byte* pixel = row + taps.first * channels + c;
        for (const uint32_t weight : taps.weights) {
          sum += weight * std::to_integer<uint32_t>(*pixel);
          pixel += channels;
        }
        *out++ = static_cast<uint16_t>(sum >> (kWeightBits - kBetweenBits));
      }
  }
  Pixels result{{height, width, channels}, {}};
  result.values.reserve(static_cast<size_t>(height) * row_values);
  std::vector<uint32_t> sums(row_values);
  for (const Taps& taps : down) {
    std::fill(sums.begin(), sums.end(), 1u << (kWeightBits + kBetweenBits - 1));
    const uint16_t* row = between.data() + static_cast<size_t>(taps.first - first) * row_values;
    for (const uint32_t weight : taps.weights) {
      for (size_t i = 0; i < row_values; ++i) sums[i] += weight * row[i];
      row += row_values;
    }
    for (const uint32_t sum : sums)
      result.values.push_back(static_cast<std::byte>(sum >> (kWeightBits + kBetweenBits)));
  }
  return result;
}

Pixels padded(const Pixels& image, int64_t height, int64_t width) {
  Pixels result{{height, width, image.size.channels}, {}};
  result.values.resize(static_cast<size_t>(height * width * image.size.channels));
  const int64_t top = (height - image.size.height) / 2, left = (width - image.size.width) / 2;
  const int64_t row = image.size.width * image.size.channels;
  for (int64_t y = 0; y < image.size.height; ++y)
    std::copy_n(image.values.begin() + y * row, row,
                result.values.begin() + ((top + y) * width + left) * image.size.channels);
  return result;
}

/// round(extent * a / b), at least 1.
int64_t in_ratio(int64_t extent, int64_t a, int64_t b) {
  return std::max<int64_t>(1, (2 * extent * a + b) / (2 * b));
}

}  // namespace

Pixels resized(const Pixels& image, int64_t height, int64_t width, Fit fit) {
  const Size& size = image.size;
  if (size.height == height && size.width == width) return image;
  Window rows{0, static_cast<double>(size.height)}, columns{0, static_cast<double>(size.width)};
  const bool is_wider = size.width * height > size.height * width;
  if (fit == Fit::pad) {
    const int64_t inner_height = is_wider ? in_ratio(size.height, width, size.width) : height;
    const int64_t inner_width = is_wider ? width : in_ratio(size.width, height, size.height);
    return padded(scaled(image, rows, columns, inner_height, inner_width), height, width);
  }
  if (fit == Fit::crop) {
    Window& cut = is_wider ? columns : rows;
    const double whole = cut.length;
    cut.length = is_wider ? rows.length * static_cast<double>(width) / static_cast<double>(height)
                          : columns.length * static_cast<double>(height) / static_cast<double>(width);
    cut.begin = (whole - cut.length) / 2;
  }
  return scaled(image, rows, columns, height, width);
}

}  // namespace lockstep::images
