#include "io/images/image.h"

#include <algorithm>
#include <random>

#include "tests/io/data_files.h"
#include "tests/io/images/image_files.h"

namespace lockstep {
namespace {

using images::BadImage;
using images::Size;
using testing::HasSubstr;

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

std::string why_bad(const std::vector<std::byte>& file, const Size& size) {
  std::vector<std::byte> out(static_cast<size_t>(size.height * size.width * size.channels));
  try {
    images::decode(file, size, out);
  } catch (const BadImage& e) {
    return e.what();
  }
  return "no error";
}

TEST(Image, IsKnownByItsFirstBytes) {
  EXPECT_EQ(images::format_of(bytes_of("\xFF\xD8\xFF\xE0")), images::Format::jpeg);
  EXPECT_EQ(images::format_of(bytes_of("\x89PNG\r\n\x1A\n")), images::Format::png);
  EXPECT_EQ(images::format_of(bytes_of("\x89PNG")), images::Format::none);
  EXPECT_EQ(why_bad(bytes_of("text"), {1, 1, 1}), "it is neither JPEG nor PNG");
  EXPECT_EQ(why_bad({}, {1, 1, 1}), "it is empty");
}

#if LOCKSTEP_TEST_IMAGES

std::vector<std::byte> decoded(const std::vector<std::byte>& file, const Size& size) {
  EXPECT_EQ(images::size_of(file), size) << images::to_string(images::size_of(file));
  std::vector<std::byte> out(static_cast<size_t>(size.height * size.width * size.channels));
  images::decode(file, size, out);
  return out;
}

int largest_difference(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
  int largest = 0;
  for (size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(std::to_integer<int>(a[i]) - std::to_integer<int>(b[i])));
  return largest;
}

TEST(Image, OfPngIsDecodedExactly) {
  for (const int64_t channels : {1, 2, 3, 4})
    for (const bool interlaced : {false, true}) {
      const Size size{13, 31, channels};
      const std::vector<std::byte> pixels = smooth_image(size);
      EXPECT_EQ(decoded(to_png(size, pixels, 8, interlaced), size), pixels) << channels;
    }
}

TEST(Image, OfJpegIsDecodedNearly) {
  for (const int64_t channels : {1, 3})
    for (const bool progressive : {false, true}) {
      const Size size{16, 24, channels};
      const std::vector<std::byte> pixels = smooth_image(size);
      EXPECT_LT(largest_difference(decoded(to_jpeg(size, pixels, progressive), size), pixels), 12)
          << channels;
    }
}

TEST(Image, ThatIsNotSupportedIsNamed) {
  const Size size{4, 4, 3}, cmyk{4, 4, 4};
  EXPECT_THAT(why_bad(to_png(size, std::vector<std::byte>(96), 16), size), HasSubstr("16 bits a channel"));
  EXPECT_THAT(why_bad(to_jpeg(cmyk, smooth_image(cmyk)), cmyk), HasSubstr("a JPEG of 4 components"));
  EXPECT_THAT(why_bad(to_png(size, smooth_image(size)), {4, 5, 3}),
              HasSubstr("its size is 4 x 4, 3 channels"));
}

TEST(Image, ThatIsUnusualIsConverted) {
  const auto converted = [](const std::vector<std::byte>& file, const Size& size) {
    EXPECT_EQ(images::size_of(file, images::Unusual::convert), size);
    std::vector<std::byte> out(static_cast<size_t>(size.height * size.width * size.channels));
    images::decode(file, size, out, images::Unusual::convert);
    return out;
  };
  // Big-endian: 0x0000, 0x0080 (0.498 of an eighth bit), 0x0081, 0xFFFF.
  const std::vector<std::byte> wide = bytes_of(std::string("\0\0\0\x80\0\x81\xFF\xFF", 8));
  EXPECT_EQ(converted(to_png({2, 2, 1}, wide, 16), {2, 2, 1}), bytes_of(std::string("\0\0\1\xFF", 4)));
  // Inverted CMYK: 255 is no ink.
  std::vector<std::byte> cmyk;
  for (int i = 0; i < 64; ++i)
    for (const int value : {255, 128, 0, 200}) cmyk.push_back(static_cast<std::byte>(value));
  std::vector<std::byte> expected;
  for (int i = 0; i < 64; ++i)
    for (const int value : {200, 100, 0}) expected.push_back(static_cast<std::byte>(value));
  EXPECT_LE(largest_difference(converted(to_jpeg({8, 8, 4}, cmyk), {8, 8, 3}), expected), 2);
}

TEST(Image, ThatEndsEarlyIsAnError) {
  const Size size{40, 40, 3};
  for (std::vector<std::byte> file : {to_png(size, smooth_image(size)), to_jpeg(size, smooth_image(size))}) {
    file.resize(file.size() / 2);
    EXPECT_THAT(why_bad(file, size), HasSubstr("data is damaged: "));
  }
}

TEST(Image, ThatClaimsAHugeSizeTakesNoMemory) {
  const Size size{8, 8, 1};
  std::vector<std::byte> png = to_png(size, smooth_image(size)), jpeg = to_jpeg(size, smooth_image(size));
  // Of PNG, the height behind the width in the first chunk, whose checksum libpng then refuses; of JPEG,
  // height and width in the frame's header.
  png[20] = std::byte{0x7F};
  EXPECT_THAT(why_bad(png, size), HasSubstr("damaged"));
  const std::vector<std::byte> frame = bytes_of("\xFF\xC0");
  const auto at = std::ranges::search(jpeg, frame).begin();
  ASSERT_NE(at, jpeg.end());
  for (int i = 5; i < 9; ++i) at[i] = std::byte{0xFF};
  EXPECT_NE(why_bad(jpeg, size), "no error");
}

TEST(Image, OfRandomDamageEndsInAnErrorOrAnImage) {
  const Size size{12, 20, 3};
  std::mt19937 random(7);
  for (const auto& file : {to_png(size, smooth_image(size)), to_jpeg(size, smooth_image(size), true)})
    for (int i = 0; i < 300; ++i) {
      std::vector<std::byte> damaged = file;
      for (int change = 0; change < 3; ++change)
        damaged[random() % damaged.size()] = static_cast<std::byte>(random());
      why_bad(damaged, size);
    }
}

#endif

}  // namespace
}  // namespace lockstep
