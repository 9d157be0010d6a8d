#include <cstdlib>
#include <vector>

#include "io/images/exif.h"
#include "io/images/pixels.h"
#include "tests/fuzz/fuzz.h"

/// An image file as `data import images` reads it: its orientation, its size, and its pixels if they are few.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace lockstep::images;
  constexpr int64_t kMaxValues = 1 << 20;
  // Memory of exactly this size: AddressSanitizer sees any access beyond it.
  const std::vector<uint8_t> copy(data, data + size);
  const auto bytes = std::as_bytes(std::span(copy));
  const int orientation = exif_orientation(bytes);
  if (orientation < 1 || orientation > 8) std::abort();
  try {
    Pixels image{size_of(bytes, Unusual::convert), {}};
    const int64_t values = image.size.height * image.size.width * image.size.channels;
    if (values > kMaxValues) return 0;
    image.values.resize(static_cast<size_t>(values));
    decode(bytes, image.size, image.values, Unusual::convert);
    const Pixels shown = oriented(with_channels(std::move(image), 3), orientation);
    for (const Fit fit : {Fit::stretch, Fit::crop, Fit::pad})
      if (resized(shown, 7, 9, fit).values.size() != size_t{7} * 9 * 3) std::abort();
  } catch (const BadImage&) {
  }
  return 0;
}
