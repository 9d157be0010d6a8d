#include "io/images/exif.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/io/images/exif_bytes.h"

namespace lockstep {
namespace {

using images::exif_orientation;

/// The first and the last marker of a JPEG.
std::vector<std::byte> empty_jpeg() {
  return {std::byte{0xFF}, std::byte{0xD8}, std::byte{0xFF}, std::byte{0xD9}};
}

TEST(Exif, OrientationIsReadInBothByteOrders) {
  for (const bool big_endian : {false, true})
    for (int orientation = 1; orientation <= 8; ++orientation)
      EXPECT_EQ(exif_orientation(with_segment(empty_jpeg(), 0xE1, exif_bytes(orientation, big_endian))),
                orientation);
}

TEST(Exif, OrientationIsFoundBehindOtherSegments) {
  std::vector<std::byte> jpeg = with_segment(empty_jpeg(), 0xE1, exif_bytes(6, true));
  jpeg = with_segment(jpeg, 0xE1, "http://ns.adobe.com/xap/1.0/");
  jpeg = with_segment(jpeg, 0xE0, "JFIF");
  EXPECT_EQ(exif_orientation(jpeg), 6);
  jpeg.insert(jpeg.begin() + 2, 3, std::byte{0xFF});  // padding
  EXPECT_EQ(exif_orientation(jpeg), 6);
}

TEST(Exif, WithoutAUsableOrientationThereIsNone) {
  EXPECT_EQ(exif_orientation({}), 1);
  EXPECT_EQ(exif_orientation(empty_jpeg()), 1);
  for (const int orientation : {0, 9, 65535})
    EXPECT_EQ(exif_orientation(with_segment(empty_jpeg(), 0xE1, exif_bytes(orientation, true))), 1);
  // Behind the pixels.
  std::vector<std::byte> jpeg = with_segment(empty_jpeg(), 0xE1, exif_bytes(6, true));
  EXPECT_EQ(exif_orientation(with_segment(jpeg, 0xDA, "scan")), 1);
  // A directory that lies outside, and one that claims more entries than there are.
  std::string payload = exif_bytes(6, true);
  payload[10] = '\x7F';
  EXPECT_EQ(exif_orientation(with_segment(empty_jpeg(), 0xE1, payload)), 1);
  payload = exif_bytes(6, true);
  payload[14] = '\xFF';
  EXPECT_EQ(exif_orientation(with_segment(empty_jpeg(), 0xE1, payload)), 6);
}

TEST(Exif, ThatIsCutOrDamagedIsReadWithinItsBytes) {
  const std::vector<std::byte> jpeg = with_segment(empty_jpeg(), 0xE1, exif_bytes(6, false));
  for (size_t size = 0; size < jpeg.size(); ++size) {
    const std::vector<std::byte> cut(jpeg.begin(), jpeg.begin() + static_cast<int64_t>(size));
    const int orientation = exif_orientation(cut);
    EXPECT_TRUE(orientation == 1 || orientation == 6) << size;
  }
  std::mt19937 random(5);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::byte> damaged = jpeg;
    for (int change = 0; change < 3; ++change)
      damaged[random() % damaged.size()] = static_cast<std::byte>(random());
    const int orientation = exif_orientation(damaged);
    EXPECT_TRUE(orientation >= 1 && orientation <= 8);
  }
}

}  // namespace
}  // namespace lockstep
