#pragma once

#include <cstddef>
#include <span>

namespace lockstep::images {

/// The orientation that the Exif data of a JPEG says, 1 to 8: how the stored rows and columns are to be shown
/// (Exif 2.3, section 4.6.4; 1: as they are stored). 1 if there is none, or if it is damaged. Reads headers
/// only, and nothing outside `jpeg`, which may be anything.
int exif_orientation(std::span<const std::byte> jpeg);

}  // namespace lockstep::images
