#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

/// The payload of an Exif segment that says this orientation: a TIFF header and a directory of two entries.
inline std::string exif_bytes(int orientation, bool big_endian) {
  const auto number = [&](uint32_t value, size_t bytes) {
    std::string text;
    for (size_t i = 0; i < bytes; ++i)
      text += static_cast<char>(value >> 8 * (big_endian ? bytes - 1 - i : i));
    return text;
  };
  const auto entry = [&](uint32_t tag, uint32_t value) {
    return number(tag, 2) + number(3, 2) + number(1, 4) + number(value, 2) + number(0, 2);
  };
  return std::string("Exif\0\0", 6) + (big_endian ? "MM" : "II") + number(42, 2) + number(8, 4) +
         number(2, 2) + entry(0x0106, 2) + entry(0x0112, static_cast<uint32_t>(orientation)) + number(0, 4);
}

/// A JPEG with a segment of this marker and payload put behind its first marker.
inline std::vector<std::byte> with_segment(std::vector<std::byte> jpeg, uint8_t marker,
                                           const std::string& payload) {
  const size_t length = payload.size() + 2;
  std::vector<std::byte> segment{std::byte{0xFF}, std::byte{marker}, static_cast<std::byte>(length >> 8),
                                 static_cast<std::byte>(length)};
  for (const char c : payload) segment.push_back(static_cast<std::byte>(c));
  jpeg.insert(jpeg.begin() + 2, segment.begin(), segment.end());
  return jpeg;
}

}  // namespace lockstep
