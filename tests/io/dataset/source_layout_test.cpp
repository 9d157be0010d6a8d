// Files as MATLAB and others write them, understood from the extents of x and y.
#include "io/dataset/source_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/dataset/layouts/same_samples.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SourceLayoutOfFile : public testing::Test {
 protected:
  static constexpr int64_t kSamples = 90;

  DataSource source(const Shape& x, const Shape& y) {
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    put(path, "/x", x, counting<float>(x.elements()));
    put(path, "/y", y, counting<int64_t>(y.elements(), 3));
    return {.files = {path}, .x = "/x", .y = "/y"};
  }
  std::unique_ptr<Dataset> open(const DataSource& from) { return open_dataset(from, {.probe = false}); }

  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(SourceLayoutOfFile, SamplesOnTheFirstAxis) {
  for (const Shape& y : {Shape{kSamples}, Shape{kSamples, 1}}) {
    const auto data = open(source({kSamples, 8}, y));
    EXPECT_EQ(to_string(data->x_shape()), "(8)");
    EXPECT_EQ(data->classes(), 3);
    EXPECT_EQ(all_y<int32_t>(*data)[4], 1);
    EXPECT_THAT(data->notes(), IsEmpty());
  }
}

TEST_F(SourceLayoutOfFile, TargetsThatLieDown) {
  const auto data = open(source({kSamples, 8}, {1, kSamples}));
  EXPECT_EQ(data->size(), kSamples);
  EXPECT_EQ(data->y_shape().rank(), 0);
  for (int64_t i = 0; i < kSamples; ++i) EXPECT_EQ(data->label(i), i % 3);
  EXPECT_THAT(data->notes(), ElementsAre(HasSubstr("/y (1, 90) has its samples on the last axis")));
}

TEST_F(SourceLayoutOfFile, SamplesOnTheLastAxisOfBoth) {
  for (const Shape& y : {Shape{kSamples}, Shape{kSamples, 1}, Shape{1, kSamples}}) {
    const auto data = open(source({2, 8, kSamples}, y));
    EXPECT_EQ(data->size(), kSamples);
    EXPECT_EQ(to_string(data->x_shape()), "(2, 8)");
    EXPECT_EQ(all_x<float>(*data)[16 * 7 + 3], 3.f * kSamples + 7);
    EXPECT_EQ(all_y<int32_t>(*data)[7], 1);
    EXPECT_EQ(data->understood().sample_axis, -1);
    EXPECT_THAT(data->notes()[0], HasSubstr("/x (2, 8, 90) has its samples on the last axis"));
  }
}

TEST_F(SourceLayoutOfFile, NumbersToPredictOnTheLastAxis) {
  const std::string path = folder_ / "v.h5";
  put(path, "/x", {8, kSamples}, counting<float>(8 * kSamples));
  put(path, "/y", {2, kSamples}, std::vector<float>(2 * kSamples, 0.3f));
  const auto data = open({.files = {path}, .x = "/x", .y = "/y"});
  EXPECT_EQ(data->target_kind(), TargetKind::values);
  EXPECT_EQ(to_string(data->y_shape()), "(2)");
}

TEST_F(SourceLayoutOfFile, WithoutTargetsAsTheTrainingData) {
  DataSource from = source({8, kSamples}, {1, kSamples});
  from.y.clear();
  EXPECT_EQ(open(from)->size(), 8);
  EXPECT_EQ(open_dataset(from, {.understood = Understood{.sample_axis = -1}, .probe = false})->size(),
            kSamples);
}

TEST_F(SourceLayoutOfFile, AsTheTrainingDataWhereBothAxesWouldDo) {
  const DataSource square = source({kSamples, kSamples}, {1, kSamples});
  EXPECT_EQ(all_x<float>(*open(square))[1], 1);
  const DatasetOptions options{.understood = Understood{.sample_axis = -1}, .probe = false};
  EXPECT_EQ(all_x<float>(*open_dataset(square, options))[1], kSamples);
  EXPECT_EQ(open_dataset(source({kSamples, 8}, {kSamples}), options)->size(), kSamples);
}

TEST_F(SourceLayoutOfFile, LengthsThatFitNoAxisAreRefused) {
  EXPECT_THAT(error_of([&] {
                open(source({8, kSamples}, {kSamples - 1}));
              }),
              testing::AllOf(HasSubstr("/x has 8 samples, but /y has 89"), HasSubstr("sample_axis")));
}

}  // namespace
}  // namespace lockstep
