#include "io/images/pixels.h"

#include <utility>

#include "src/core/error.h"

namespace lockstep::images {

namespace {

uint32_t value(std::byte byte) { return std::to_integer<uint32_t>(byte); }

/// round(a / 255) of a sum of products of bytes.
std::byte over_255(uint32_t a) { return static_cast<std::byte>((a + 127) / 255); }

/// Of a pixel of 1 or 3 values.
std::byte luma(const std::byte* pixel) {
  // 0.299, 0.587 and 0.114 of 2^16.
  return static_cast<std::byte>(
      (value(pixel[0]) * 19595 + value(pixel[1]) * 38470 + value(pixel[2]) * 7471 + (1u << 15)) >> 16);
}

}  // namespace

Pixels with_channels(Pixels image, int64_t channels) {
  INVARIANT(channels == 1 || channels == 3, "{} channels", channels);
  const int64_t stored = image.size.channels;
  if (stored == channels) return image;
  const bool has_alpha = stored == 2 || stored == 4;
  const int64_t colors = has_alpha ? stored - 1 : stored;
  Pixels result{{image.size.height, image.size.width, channels}, {}};
  result.values.reserve(static_cast<size_t>(image.size.height * image.size.width * channels));
  for (auto pixel = image.values.begin(); pixel != image.values.end(); pixel += stored) {
    std::byte color[3] = {};
    for (int64_t c = 0; c < colors; ++c) {
      const uint32_t alpha = has_alpha ? value(pixel[colors]) : 255;
      color[c] = over_255(value(pixel[c]) * alpha + 255 * (255 - alpha));
    }
    for (int64_t c = 0; c < channels; ++c)
      result.values.push_back(colors == channels ? color[c] : colors == 1 ? color[0] : luma(color));
  }
  return result;
}

Size oriented(Size size, int orientation) {
  if (orientation >= 5) std::swap(size.height, size.width);
  return size;
}

Pixels oriented(Pixels image, int orientation) {
  INVARIANT(orientation >= 1 && orientation <= 8, "{}", orientation);
  if (orientation == 1) return image;
  // What is seen at the top is the row or column that Exif calls the 0th: first, or last if it is flipped.
  const bool exchanged = orientation >= 5;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  Pixels result{oriented(image.size, orientation), {}};
  result.values.reserve(image.values.size());
  for (int64_t y = 0; y < result.size.height; ++y)
    for (int64_t x = 0; x < result.size.width; ++x) {
      const int64_t shown_y = from_bottom ? result.size.height - 1 - y : y;
      const int64_t shown_x = from_right ? result.size.width - 1 - x : x;
      const int64_t row = exchanged ? shown_x : shown_y, column = exchanged ? shown_y : shown_x;
      const auto pixel = image.values.begin() + (row * image.size.width + column) * image.size.channels;
      result.values.insert(result.values.end(), pixel, pixel + image.size.channels);
    }
  return result;
}

}  // namespace lockstep::images
