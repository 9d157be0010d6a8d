#pragma once

#include <cstdint>
#include <vector>

#include "io/images/image.h"

namespace lockstep::images {

/// A decoded image: (height, width, channels).
struct Pixels {
  Size size;
  std::vector<std::byte> values;
};

/// With this many channels, 1 or 3. Alpha is composed on white. Gray is repeated; color becomes gray by the
/// luma of ITU-R BT.601.
Pixels with_channels(Pixels image, int64_t channels);

/// The image as it is to be shown if its orientation is 1 to 8 (exif_orientation()): of 5 to 8, height and
/// width are exchanged.
Pixels oriented(Pixels image, int orientation);
/// What oriented() makes of a size.
Size oriented(Size size, int orientation);

enum class Fit {
  stretch,  ///< height and width each by its own factor
  crop,     ///< the middle of the image, as much of it as has the ratio of the sides
  pad,      ///< all of the image, in the middle of black
};

/// The image scaled to this height and width, by bilinear interpolation, or if it becomes smaller, by the
/// mean over pixels weighted by a triangle twice as wide as one pixel of the result. Along rows, then along
/// columns, in integers, in a fixed order.
Pixels resized(const Pixels& image, int64_t height, int64_t width, Fit fit);

}  // namespace lockstep::images
