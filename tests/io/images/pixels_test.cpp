#include "io/images/pixels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace lockstep {
namespace {

using images::Fit;
using images::Pixels;
using images::resized;
using images::Size;

Pixels pixels_of(Size size, const std::vector<int>& values) {
  Pixels image{size, {}};
  for (const int value : values) image.values.push_back(static_cast<std::byte>(value));
  return image;
}

std::vector<int> numbers(const Pixels& image) {
  std::vector<int> values;
  for (const std::byte value : image.values) values.push_back(std::to_integer<int>(value));
  return values;
}

Pixels noise_image(Size size) {
  std::mt19937 random(3);
  Pixels image{size, {}};
  for (int64_t i = 0; i < size.height * size.width * size.channels; ++i)
    image.values.push_back(static_cast<std::byte>(random()));
  return image;
}

/// The triangle filter along one axis in double, written for reading: `extent` values of `line`, of which
/// [begin, begin + length) is shown.
std::vector<double> filtered(const std::vector<double>& line, double begin, double length, int64_t extent) {
  std::vector<double> result;
  const double scale = length / static_cast<double>(extent), reach = std::max(scale, 1.0);
  for (int64_t i = 0; i < extent; ++i) {
    const double center = begin + (static_cast<double>(i) + 0.5) * scale;
    double sum = 0, weights = 0;
    for (size_t j = 0; j < line.size(); ++j) {
      const double weight = std::max(0.0, 1 - std::abs(static_cast<double>(j) + 0.5 - center) / reach);
      sum += weight * line[j];
      weights += weight;
    }
    result.push_back(sum / weights);
  }
  return result;
}

/// One channel, stretched, both axes by filtered().
std::vector<double> filtered(const Pixels& image, int64_t height, int64_t width) {
  const auto rows = static_cast<size_t>(image.size.height), columns = static_cast<size_t>(image.size.width);
  std::vector<std::vector<double>> lines;
  for (size_t y = 0; y < rows; ++y) {
    std::vector<double> row;
    for (size_t x = 0; x < columns; ++x) row.push_back(std::to_integer<int>(image.values[y * columns + x]));
    lines.push_back(filtered(row, 0, static_cast<double>(columns), width));
  }
  std::vector<double> result(static_cast<size_t>(height * width));
  for (int64_t x = 0; x < width; ++x) {
    std::vector<double> column;
    for (const auto& line : lines) column.push_back(line[static_cast<size_t>(x)]);
    const std::vector<double> values = filtered(column, 0, static_cast<double>(rows), height);
    for (int64_t y = 0; y < height; ++y)
      result[static_cast<size_t>(y * width + x)] = values[static_cast<size_t>(y)];
  }
  return result;
}

TEST(Pixels, AreTurnedAsExifSays) {
  // a b c
  // d e f
  const Pixels image = pixels_of({2, 3, 1}, {'a', 'b', 'c', 'd', 'e', 'f'});
  const char* expected[] = {"abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Pixels shown = images::oriented(image, orientation);
    std::string text;
    for (const int value : numbers(shown)) text += static_cast<char>(value);
    EXPECT_EQ(text, expected[orientation - 1]) << orientation;
    EXPECT_EQ(shown.size.height, orientation >= 5 ? 3 : 2);
  }
  const Pixels colors = pixels_of({1, 2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(numbers(images::oriented(colors, 2)), (std::vector<int>{4, 5, 6, 1, 2, 3}));
}

TEST(Pixels, GetOtherChannels) {
  const auto make = [](int64_t channels, const std::vector<int>& values, int64_t wanted) {
    return numbers(images::with_channels(pixels_of({1, 1, channels}, values), wanted));
  };
  EXPECT_EQ(make(1, {7}, 3), (std::vector<int>{7, 7, 7}));
  EXPECT_EQ(make(3, {1, 2, 3}, 3), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(make(3, {255, 0, 0}, 1), std::vector<int>{76});
  EXPECT_EQ(make(3, {90, 90, 90}, 1), std::vector<int>{90});
  // Opaque, transparent and half of it, on white.
  EXPECT_EQ(make(2, {100, 255}, 1), std::vector<int>{100});
  EXPECT_EQ(make(2, {100, 0}, 3), (std::vector<int>{255, 255, 255}));
  EXPECT_EQ(make(4, {0, 100, 255, 51}, 3), (std::vector<int>{204, 224, 255}));
}

TEST(Pixels, AreScaledByTheTriangleFilter) {
  const Pixels image = noise_image({37, 53, 1});
  for (const auto& [height, width] :
       {std::pair<int64_t, int64_t>{5, 7}, {37, 10}, {80, 53}, {1, 1}, {100, 131}}) {
    const std::vector<int> found = numbers(resized(image, height, width, Fit::stretch));
    const std::vector<double> expected = filtered(image, height, width);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 0.52) << height << " " << i;
  }
}

TEST(Pixels, OfOneColorKeepItAtEverySize) {
  for (const int value : {0, 1, 127, 254, 255})
    for (const int64_t side : {1, 3, 64, 97, 300}) {
      Pixels image{{97, 41, 3}, std::vector<std::byte>(97 * 41 * 3, static_cast<std::byte>(value))};
      for (const Fit fit : {Fit::stretch, Fit::crop})
        EXPECT_THAT(numbers(resized(image, side, side, fit)), testing::Each(value));
    }
}

TEST(Pixels, OfTheSameSizeAreUnchanged) {
  const Pixels image = noise_image({9, 6, 3});
  for (const Fit fit : {Fit::stretch, Fit::crop, Fit::pad})
    EXPECT_EQ(resized(image, 9, 6, fit).values, image.values);
}

TEST(Pixels, AreCroppedInTheMiddle) {
  // Columns 10, 20, ..., 60, of which the middle two, or rows, remain.
  const Pixels wide = pixels_of({2, 6, 1}, {10, 20, 30, 40, 50, 60, 10, 20, 30, 40, 50, 60});
  EXPECT_EQ(numbers(resized(wide, 2, 2, Fit::crop)), (std::vector<int>{30, 40, 30, 40}));
  const Pixels high = pixels_of({6, 2, 1}, {10, 10, 20, 20, 30, 30, 40, 40, 50, 50, 60, 60});
  EXPECT_EQ(numbers(resized(high, 2, 2, Fit::crop)), (std::vector<int>{30, 30, 40, 40}));
}

TEST(Pixels, ArePaddedWithBlack) {
  const Pixels wide = pixels_of({1, 4, 1}, {10, 20, 30, 40});
  EXPECT_EQ(numbers(resized(wide, 4, 4, Fit::pad)),
            (std::vector<int>{0, 0, 0, 0, 10, 20, 30, 40, 0, 0, 0, 0, 0, 0, 0, 0}));
  const Pixels high{{300, 2, 3}, std::vector<std::byte>(1800, std::byte{9})};
  const Pixels small = resized(high, 30, 30, Fit::pad);
  // A column of one pixel, though a fifth of one would keep the ratio.
  EXPECT_EQ(std::ranges::count(small.values, std::byte{9}), 30 * 3);
}

}  // namespace
}  // namespace lockstep
