#include "src/train/augment/augmenter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/train/augment/augmenter_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

INSTANTIATE_FOR_BACKENDS(AugmenterTest);

/// Everything at once, for 4x4 images in three channels.
std::vector<AugmentSpec> everything() {
  return {{"flip", {}},          {"crop", {{"padding", 1}}},
          {"rotate90", {}},      {"color_jitter", {}},
          {"resized_crop", {}},  {"erase", {}},
          {"vertical_flip", {}}, {"permute_axes", {}},
          {"noise", {}},         {"mixup", {{"alpha", 1}}},
          {"cutmix", {}}};
}

TEST_P(AugmenterTest, DependsOnNeitherMicroBatchesNorRanks) {
  const Case whole{.sample = {4, 4, 3}, .augment = everything(), .rows = 8};
  const Result expected = run(whole);
  Case parts = whole;
  parts.rows = 2;
  parts.count = 4;
  EXPECT_EQ(run(parts).x, expected.x);
  EXPECT_EQ(run(parts).y, expected.y);
  for (int64_t rank = 0; rank < 2; ++rank) {
    Case part = whole;
    part.rows = 4;
    part.first = 4 * rank;
    const Result mine = run(part);
    for (size_t row = 0; row < 4; ++row) {
      EXPECT_EQ(mine.x[row], expected.x[static_cast<size_t>(part.first) + row]);
      EXPECT_EQ(mine.y[row], expected.y[static_cast<size_t>(part.first) + row]);
    }
  }
}

TEST_P(AugmenterTest, KeepsTheDrawsOfTwoBatchesApart) {
  const Case alone{.sample = {4, 4, 3}, .augment = everything(), .rows = 4, .count = 2};
  Case second = alone;
  second.set = 1;
  EXPECT_EQ(run(second).x, run(alone).x);
  EXPECT_EQ(run(second).y, run(alone).y);
}

TEST_P(AugmenterTest, DependsOnSeedEpochAndSample) {
  const Case it{.augment = {{"crop", {{"padding", 2}}}}, .rows = 64};
  Case seed = it, epoch = it;
  seed.seed = 2;
  epoch.epoch = 1;
  EXPECT_EQ(run(it).x, run(it).x);
  EXPECT_NE(run(it).x, run(seed).x);
  EXPECT_NE(run(it).x, run(epoch).x);
}

TEST_P(AugmenterTest, ChangesNothingWithoutAList) {
  const Result plain = run({.rows = 2});
  for (int64_t sample = 0; sample < 2; ++sample)
    for (int64_t e = 0; e < 16; ++e)
      EXPECT_EQ(plain.x[static_cast<size_t>(sample)][static_cast<size_t>(e)], x_of(sample, e));
  EXPECT_EQ(plain.description, "");
}

TEST_P(AugmenterTest, PassesBeforeAndAfterACropSeeTheirOwnShapes) {
  const Result result = run({.sample = {6, 6, 3},
                             .augment = {{"erase", {{"probability", 1}}},
                                         {"color_jitter", {}},
                                         {"resized_crop", {{"size", 4}}},
                                         {"noise", {}},
                                         {"cutmix", {}},
                                         {"rotate90", {}}},
                             .rows = 8});
  ASSERT_EQ(result.x[0].size(), 48u);
  for (const std::vector<float>& x : result.x)
    for (const float value : x) EXPECT_TRUE(std::isfinite(value));
}

TEST_P(AugmenterTest, MasksMoveWithTheirSamples) {
  const std::vector<AugmentSpec> list = {
      {"flip", {}}, {"crop", {{"padding", 1}}}, {"rotate90", {}}, {"vertical_flip", {}}};
  for (const TargetKind kind : {TargetKind::classes, TargetKind::labels, TargetKind::values}) {
    const Case it{.sample = {3, 3, 1},
                  .kind = kind,
                  .y = {3, 3},
                  .outputs = kind == TargetKind::classes ? 5 : 9,
                  .augment = list,
                  .rows = 40};
    const Result result = run(it);
    EXPECT_THAT(result.description, HasSubstr("; targets move along"));
    for (size_t sample = 0; sample < 40; ++sample) {
      const auto from = origins(result.x[sample], static_cast<int64_t>(sample));
      for (size_t e = 0; e < 9; ++e)
        EXPECT_EQ(result.y[sample][e],
                  from[e] < 0 ? 0 : y_of(static_cast<int64_t>(sample), from[e], it.outputs));
    }
  }
}

TEST_P(AugmenterTest, PositionsBeyondAMaskHaveTheIgnoredLabel) {
  const Result result = run({.sample = {3, 3, 1},
                             .y = {3, 3},
                             .augment = {{"crop", {{"padding", 2}}}},
                             .rows = 20,
                             .ignore_label = 255});
  for (size_t sample = 0; sample < 20; ++sample)
    for (size_t e = 0; e < 9; ++e)
      EXPECT_EQ(result.y[sample][e] == 255, result.x[sample][e] == 0) << sample << ", " << e;
}

TEST_P(AugmenterTest, NamesWhatTheSamplesDoNotAllow) {
  const auto expect = [&](const Case& it, const std::string& message) {
    EXPECT_THAT(error_of(it), HasSubstr("data.augment: " + message));
  };
  expect(
      {.sample = {3, 3, 1}, .augment = {{"crop", {{"padding", 3}}}}},
      "crop: with padding = 3, a crop of 3 could lie outside of samples of shape (3, 3, 1). Set padding to at "
      "most 2.");
  expect({.sample = {4}, .augment = {{"flip", {}}}}, "flip: vectors of 4 values have no width. Remove it.");
  expect({.sample = {4, 1}, .augment = {{"vertical_flip", {}}}},
         "vertical_flip: samples of shape (4, 1) have no height. Remove it.");
  expect({.augment = {{"color_jitter", {}}}},
         "color_jitter: saturation needs 3 channels (red, green, blue), but samples of shape (4, 4, 1) have "
         "1. Set saturation = 0.");
  expect({.sample = {4, 5, 1}, .augment = {{"rotate90", {}}}},
         "rotate90: samples of shape (4, 5, 1) are not square");
  expect({.sample = {4, 5, 1}, .augment = {{"permute_axes", {}}}}, "permute_axes: the axes of samples of");
  expect({.augment = {{"crop", {{"size", 5}}}}},
         "crop: size = 5 is larger than samples of shape (4, 4, 1), whose shortest side has 4.");
  expect({.augment = {{"crop", {}}}}, "crop: it changes nothing without padding or size.");
  expect({.sample = {4, 4}, .augment = {{"crop", {{"size", 3}}}}}, "crop: samples of shape (4, 4) may be");
  expect({.y = {4, 4}, .augment = {{"crop", {{"size", 3}}}}},
         "crop: targets at each position, of shape (4, 4)");
  expect({.augment = {{"time_shift", {}}}}, "time_shift: it needs signals");
  expect({.sample = {4, 1}, .augment = {{"resized_crop", {}}}}, "resized_crop: it needs images");
  expect({.augment = {{"erase", {{"min_area", 0.5}}}}}, "erase: min_area = 0.5 is above max_area = 0.33");
  expect({.augment = {{"mixup", {}}}, .rows = 3},
         "mixup: it mixes samples two by two, but a micro-batch has 3");
  expect({.y = {4, 4}, .augment = {{"mixup", {}}}}, "mixup: it blends targets, but a class at each position");
  expect({.y = {2, 2}, .augment = {{"flip", {}}}}, "flip: the targets of a sample, of shape (2, 2), do not");
  expect({.augment = {{"mixup", {}}}, .ignore_label = 2}, "mixup: targets that train.ignore_label excludes");
}

TEST_P(AugmenterTest, DescribesEveryOption) {
  EXPECT_EQ(run({.augment = {{"flip", {}}, {"crop", {{"padding", 2}}}}}).description,
            "flip (probability 0.5), crop (padding 2, size 0)");
}

}  // namespace
}  // namespace lockstep
