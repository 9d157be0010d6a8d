#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/images/image.h"
#include "io/images/pixels.h"

namespace lockstep {

/// What the header of an image file says.
struct ImageHeader {
  images::Size size;  ///< as it is to be shown
  int orientation = 1;
  int64_t file_bytes = 0;
};

/// Both throw images::BadImage for a file that is no image, or cannot be read. The header says nothing about
/// whether the rest is complete.
ImageHeader read_image_header(const std::string& path);
/// Decoded, with this many channels, upright.
images::Pixels read_image(const std::string& path, const ImageHeader& header, int64_t channels);

}  // namespace lockstep
