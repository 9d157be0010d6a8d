#include "io/images/exif.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace lockstep::images {

namespace {

/// Integers of 16 and 32 bits at any place; 0 outside the bytes.
class Numbers {
 public:
  Numbers(std::span<const std::byte> bytes, bool big_endian) : bytes_(bytes), big_endian_(big_endian) {}
  uint32_t u16(size_t at) const { return number(at, 2); }
  uint32_t u32(size_t at) const { return number(at, 4); }

 private:
  uint32_t number(size_t at, size_t count) const {
    if (at > bytes_.size() || bytes_.size() - at < count) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i)
      value = value << 8 | std::to_integer<uint32_t>(bytes_[at + (big_endian_ ? i : count - 1 - i)]);
    return value;
  }

  std::span<const std::byte> bytes_;
  bool big_endian_;
};

/// The orientation in a TIFF header with its first directory; 0 if there is none.
int tiff_orientation(std::span<const std::byte> tiff) {
  constexpr uint32_t kLittle = 0x4949, kBig = 0x4D4D, kMagic = 42, kOrientation = 0x0112, kShort = 3;
  constexpr size_t kEntryBytes = 12;
  const uint32_t order = Numbers(tiff, true).u16(0);
  if (order != kLittle && order != kBig) return 0;
  const Numbers numbers(tiff, order == kBig);
  const size_t directory = numbers.u32(4);
  if (numbers.u16(2) != kMagic || directory > tiff.size()) return 0;
  const size_t entries = std::min<size_t>(numbers.u16(directory), (tiff.size() - directory) / kEntryBytes);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + i * kEntryBytes;
    if (numbers.u16(entry) == kOrientation && numbers.u16(entry + 2) == kShort)
      return static_cast<int>(numbers.u16(entry + 8));
  }
  return 0;
}

}  // namespace

int exif_orientation(std::span<const std::byte> jpeg) {
  constexpr uint32_t kApp1 = 0xE1, kScan = 0xDA, kEnd = 0xD9;
  constexpr std::array<uint8_t, 6> kMark{'E', 'x', 'i', 'f', 0, 0};
  const Numbers numbers(jpeg, true);
  // Each segment has two bytes of a marker and a length, which counts itself. Markers may be padded by 0xFF.
  for (size_t at = 2; at + 4 <= jpeg.size();) {
    const uint32_t marker = numbers.u16(at) & 0xFF, length = numbers.u16(at + 2);
    if (numbers.u16(at) >> 8 != 0xFF || marker == kScan || marker == kEnd) return 1;
    if (marker == 0xFF) {
      ++at;
      continue;
    }
    if (length < 2 || length > jpeg.size() - at - 2) return 1;
    const auto segment = jpeg.subspan(at + 4, length - 2);
    if (marker == kApp1 && segment.size() >= kMark.size() &&
        std::equal(kMark.begin(), kMark.end(), segment.begin(),
                   [](uint8_t a, std::byte b) { return a == std::to_integer<uint8_t>(b); })) {
      const int orientation = tiff_orientation(segment.subspan(kMark.size()));
      return orientation >= 1 && orientation <= 8 ? orientation : 1;
    }
    at += 2 + length;
  }
  return 1;
}

}  // namespace lockstep::images
