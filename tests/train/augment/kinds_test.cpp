// What each kind of augmentation does to samples.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/train/augment/augmenter_fixture.h"

namespace lockstep {
namespace {

using testing::Each;
using testing::ElementsAre;

class AugmentKinds : public AugmenterTest {};
INSTANTIATE_FOR_BACKENDS(AugmentKinds);

/// Whole positions of a 3x3 image that is moved by (dy, dx).
std::vector<int64_t> moved(int64_t dy, int64_t dx) {
  std::vector<int64_t> from;
  for (int64_t y = 0; y < 3; ++y)
    for (int64_t x = 0; x < 3; ++x) {
      const int64_t h = y + dy, w = x + dx;
      from.push_back(h < 0 || h > 2 || w < 0 || w > 2 ? -1 : 3 * h + w);
    }
  return from;
}

TEST_P(AugmentKinds, CropTakesEachPlaceOfThePaddedImageEquallyOften) {
  const Result result = run({.sample = {3, 3, 1}, .augment = {{"crop", {{"padding", 1}}}}, .rows = 900});
  const auto counts = tally(result.x);
  EXPECT_EQ(counts.size(), 9u);
  for (int64_t dy = -1; dy <= 1; ++dy)
    for (int64_t dx = -1; dx <= 1; ++dx) {
      const auto found = counts.find(moved(dy, dx));
      ASSERT_NE(found, counts.end()) << dy << ", " << dx;
      EXPECT_NEAR(found->second, 100, 50);  // five standard deviations
    }
}

TEST_P(AugmentKinds, CropsToASizeAndEvaluationTakesTheMiddle) {
  // Places of a box of 2x2 in 5x5, with positions beyond the border.
  const Case it{.sample = {5, 5, 1},
                .augment = {{"flip", {{"probability", 0}}}, {"crop", {{"size", 2}, {"padding", 1}}}},
                .rows = 720};
  const auto counts = tally(run(it).x);
  EXPECT_EQ(counts.size(), 36u);
  for (const auto& [place, count] : counts) EXPECT_NEAR(count, 20, 20);
  EXPECT_TRUE(counts.contains({18, 19, 23, 24}));
  EXPECT_TRUE(counts.contains({-1, -1, -1, 0}));
  Case middle = it;
  middle.rows = 3;
  middle.purpose = Augmenter::Purpose::evaluation;
  EXPECT_EQ(tally(run(middle).x), (std::map<std::vector<int64_t>, int>{{{6, 7, 11, 12}, 3}}));
  middle.augment = {{"resized_crop", {{"size", 3}}}};
  EXPECT_EQ(tally(run(middle).x).begin()->first, (std::vector<int64_t>{6, 7, 8, 11, 12, 13, 16, 17, 18}));
}

TEST_P(AugmentKinds, FlipsMirrorTheirAxis) {
  const auto of = [&](const char* name, const Shape& shape) {
    return tally(run({.sample = shape, .augment = {{name, {{"probability", 0.25}}}}, .rows = 400}).x);
  };
  const auto expect = [](const std::map<std::vector<int64_t>, int>& counts,
                         const std::vector<int64_t>& mirrored) {
    EXPECT_EQ(counts.size(), 2u);
    ASSERT_TRUE(counts.contains(mirrored));
    EXPECT_NEAR(counts.at(mirrored), 100, 45);
  };
  expect(of("flip", {3, 3, 1}), {2, 1, 0, 5, 4, 3, 8, 7, 6});
  expect(of("vertical_flip", {3, 3, 1}), {6, 7, 8, 3, 4, 5, 0, 1, 2});
  expect(of("depth_flip", {3, 1, 2, 1}), {4, 5, 2, 3, 0, 1});
  expect(of("flip", {4, 2}), {6, 7, 4, 5, 2, 3, 0, 1});  // a signal of two channels
}

TEST_P(AugmentKinds, Rotate90GivesTheFourTurns) {
  const auto counts = tally(run({.sample = {2, 2, 1}, .augment = {{"rotate90", {}}}, .rows = 400}).x);
  EXPECT_EQ(counts.size(), 4u);
  for (const std::vector<int64_t>& turn :
       std::vector<std::vector<int64_t>>{{0, 1, 2, 3}, {1, 3, 0, 2}, {3, 2, 1, 0}, {2, 0, 3, 1}}) {
    ASSERT_TRUE(counts.contains(turn));
    EXPECT_NEAR(counts.at(turn), 100, 45);
  }
}

TEST_P(AugmentKinds, PermuteAxesGivesTheSixOrdersOfACube) {
  const auto counts = tally(run({.sample = {2, 2, 2, 1}, .augment = {{"permute_axes", {}}}, .rows = 600}).x);
  EXPECT_EQ(counts.size(), 6u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 100, 50);
  EXPECT_TRUE(counts.contains({0, 4, 2, 6, 1, 5, 3, 7}));  // depth and width exchanged
}

TEST_P(AugmentKinds, TimeShiftMovesSignals) {
  const auto counts =
      tally(run({.sample = {10, 1}, .augment = {{"time_shift", {{"max", 0.25}}}}, .rows = 500}).x);
  EXPECT_EQ(counts.size(), 5u);
  EXPECT_TRUE(counts.contains({-1, -1, 0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_TRUE(counts.contains({2, 3, 4, 5, 6, 7, 8, 9, -1, -1}));
}

TEST_P(AugmentKinds, ResizedCropOfTheWholeAreaIsTheImage) {
  const auto counts =
      tally(run({.sample = {3, 3, 1},
                 .augment = {{"resized_crop", {{"min_area", 1}, {"max_area", 1}, {"max_ratio", 1}}}},
                 .rows = 20})
                .x);
  EXPECT_EQ(counts.size(), 1u);
  EXPECT_TRUE(counts.contains(moved(0, 0)));
}

TEST_P(AugmentKinds, MixupBlendsNeighboursAndTheirClasses) {
  const Result result = run({.sample = {2, 2, 1}, .outputs = 3, .augment = {{"mixup", {{"alpha", 1}}}}}, 3);
  ASSERT_EQ(result.y[0].size(), 3u);
  for (int64_t sample = 0; sample < 2; ++sample) {
    const auto s = static_cast<size_t>(sample);
    const float own = result.y[s][s];
    EXPECT_GT(own, 0);
    EXPECT_LT(own, 1);
    EXPECT_NEAR(result.y[s][1 - s], 1 - own, 1e-6);
    for (int64_t e = 0; e < 4; ++e)
      EXPECT_NEAR(result.x[s][static_cast<size_t>(e)],
                  own * x_of(sample, e) + (1 - own) * x_of(1 - sample, e), 1e-3);
  }
  // The third sample has no partner, and padding stays as it is.
  EXPECT_THAT(result.y[2], ElementsAre(0, 0, 1));
  EXPECT_EQ(result.x[2][0], x_of(2, 0));
  EXPECT_THAT(result.x[3], Each(0));
}

TEST_P(AugmentKinds, CutmixCountsWhatItPasted) {
  const Result result = run({.sample = {8, 8, 1}, .outputs = 64, .augment = {{"cutmix", {}}}, .rows = 32});
  std::set<int64_t> sizes;
  for (int64_t sample = 0; sample < 32; ++sample) {
    const auto s = static_cast<size_t>(sample);
    int64_t pasted = 0;
    for (int64_t e = 0; e < 64; ++e) {
      const float value = result.x[s][static_cast<size_t>(e)];
      EXPECT_TRUE(value == x_of(sample, e) || value == x_of(sample ^ 1, e));
      pasted += value == x_of(sample ^ 1, e) ? 1 : 0;
    }
    EXPECT_NEAR(result.y[s][s ^ 1], static_cast<double>(pasted) / 64, 1e-6);
    EXPECT_NEAR(result.y[s][s], 1 - static_cast<double>(pasted) / 64, 1e-6);
    sizes.insert(pasted);
  }
  EXPECT_GE(sizes.size(), 6u) << "of the nine squares of 0 to 8";
}

TEST_P(AugmentKinds, CutmixPastesMasksAsWell) {
  const Result result =
      run({.sample = {4, 4, 1}, .y = {4, 4}, .outputs = 30, .augment = {{"cutmix", {}}}, .rows = 8});
  for (int64_t sample = 0; sample < 8; ++sample)
    for (int64_t e = 0; e < 16; ++e) {
      const auto s = static_cast<size_t>(sample), i = static_cast<size_t>(e);
      const int64_t of = result.x[s][i] == x_of(sample, e) ? sample : sample ^ 1;
      EXPECT_EQ(result.y[s][i], y_of(of, e, 30));
    }
}

TEST_P(AugmentKinds, EraseSetsABoxToZeroAndLeavesTargets) {
  const Result result = run({.sample = {8, 8, 2}, .augment = {{"erase", {{"probability", 1}}}}, .rows = 32});
  for (int64_t sample = 0; sample < 32; ++sample) {
    const std::vector<float>& x = result.x[static_cast<size_t>(sample)];
    const auto zeros = std::count(x.begin(), x.end(), 0.f);
    EXPECT_GE(zeros, 2);
    EXPECT_LE(zeros, 0.45 * 128);
    EXPECT_EQ(result.y[static_cast<size_t>(sample)][0], y_of(sample, 0, 3));
  }
}

}  // namespace
}  // namespace lockstep
