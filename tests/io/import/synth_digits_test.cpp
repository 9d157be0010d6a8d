#include "io/import/synth_digits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "io/hdf5/hdf5.h"
#include "tests/io/files.h"
#include "tests/io/limited_disk.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SynthDigits, AreAFunctionOfSeedAndIndex) {
  const SynthDigit once = draw_digit(3, 17), again = draw_digit(3, 17);
  EXPECT_EQ(once.pixels, again.pixels);
  EXPECT_EQ(once.label, again.label);
  EXPECT_NE(draw_digit(3, 18).pixels, once.pixels);
  EXPECT_NE(draw_digit(4, 17).pixels, once.pixels);
}

TEST(SynthDigits, LookLikeInkOnPaper) {
  std::vector<int> counts(10);
  double ink = 0;
  constexpr uint64_t kCount = 2000;
  for (uint64_t i = 0; i < kCount; ++i) {
    const SynthDigit digit = draw_digit(1, i);
    ++counts.at(digit.label);
    ink += std::accumulate(digit.pixels.begin(), digit.pixels.end(), 0.0) / (255.0 * digit.pixels.size());
    EXPECT_GT(*std::max_element(digit.pixels.begin(), digit.pixels.end()), 150) << "sample " << i;
    for (size_t corner : {0, 27, 27 * 28, 27 * 28 + 27})
      EXPECT_LT(digit.pixels[corner], 64) << "sample " << i;
  }
  for (const int count : counts) EXPECT_NEAR(count, 200, 70);
  EXPECT_NEAR(ink / kCount, 0.13, 0.03);  // MNIST's is 0.131
}

/// The nearest class mean is the simplest classifier there is; on MNIST it is right for 82 % of the test set.
TEST(SynthDigits, CanBeTold) {
  constexpr size_t kTrain = 2000, kTest = 1000, kPixels = 28 * 28;
  std::vector<std::vector<double>> mean(10, std::vector<double>(kPixels));
  std::vector<double> count(10);
  for (size_t i = 0; i < kTrain; ++i) {
    const SynthDigit digit = draw_digit(1, i);
    ++count[digit.label];
    for (size_t p = 0; p < kPixels; ++p) mean[digit.label][p] += digit.pixels[p];
  }
  for (size_t label = 0; label < 10; ++label)
    for (double& value : mean[label]) value /= count[label];
  int right = 0;
  for (size_t i = kTrain; i < kTrain + kTest; ++i) {
    const SynthDigit digit = draw_digit(1, i);
    size_t best = 0;
    double best_distance = 1e300;
    for (size_t label = 0; label < 10; ++label) {
      double distance = 0;
      for (size_t p = 0; p < kPixels; ++p)
        distance += (digit.pixels[p] - mean[label][p]) * (digit.pixels[p] - mean[label][p]);
      if (distance < best_distance) {
        best_distance = distance;
        best = label;
      }
    }
    right += best == digit.label;
  }
  EXPECT_GT(right, 0.70 * kTest);
  EXPECT_LT(right, 0.95 * kTest);  // nor should it be that easy
}

TEST(SynthDigits, FillAFileWhoseTestPartDoesNotDependOnItsTrainPart) {
  const TemporaryFolder folder;
  synth_digits(folder / "a.h5", {5000, 30, 7});
  synth_digits(folder / "b.h5", {0, 30, 7});
  const hdf5::File a = hdf5::File::open(folder / "a.h5"), b = hdf5::File::open(folder / "b.h5");
  EXPECT_THAT(a.dataset("/train/x").extents(), ElementsAre(5000, 28, 28));
  EXPECT_THAT(a.dataset("/train/y").extents(), ElementsAre(5000));
  EXPECT_THAT(b.dataset("/train/x").extents(), ElementsAre(0, 28, 28));
  std::vector<uint8_t> from_a(30 * 28 * 28), from_b(30 * 28 * 28);
  a.dataset("/test/x").read(DType::u8, from_a.data());
  b.dataset("/test/x").read(DType::u8, from_b.data());
  EXPECT_EQ(from_a, from_b);

  std::vector<uint8_t> last(28 * 28), label(1);
  a.dataset("/train/x").read_rows(4999, 1, DType::u8, last.data());
  a.dataset("/train/y").read_rows(4999, 1, DType::u8, label.data());
  const SynthDigit expected = draw_digit(7, 4999);
  EXPECT_TRUE(std::equal(last.begin(), last.end(), expected.pixels.begin()));
  EXPECT_EQ(label[0], expected.label);
}

TEST(SynthDigits, LeaveNothingBehindOnAFullDisk) {
  const TemporaryFolder folder;
  const FileSizeLimit limit(4096);
  EXPECT_THAT(data_error_of([&] {
                synth_digits(folder / "a.h5", {100, 10, 1});
              }),
              HasSubstr("File too large"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace lockstep
