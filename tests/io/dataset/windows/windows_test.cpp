#include "io/dataset/windows/windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/dataset/layouts/same_samples.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Windows, StayInsideTheirSeries) {
  const std::vector<int64_t> series = {10, 3, 8};
  const Windows windows(series, 4, 3);
  EXPECT_THAT(windows.of_series(), ElementsAre(3, 0, 2));
  ASSERT_EQ(windows.count(), 5);
  const std::vector<int64_t> all = {0, 1, 2, 3, 4};
  EXPECT_THAT(windows.last_rows_of(all), ElementsAre(3, 6, 9, 16, 19));
  const std::vector<int64_t> two = {2, 3};
  EXPECT_THAT(windows.rows_of(two), ElementsAre(6, 7, 8, 9, 13, 14, 15, 16));
}

class WindowsOfFile : public testing::Test {
 protected:
  static constexpr int64_t kRows = 500, kLength = 20, kStride = 7, kWindows = (kRows - kLength) / kStride + 1;

  WindowsOfFile() {
    put(path_, "/x", {kRows, 3}, values_, {.chunk = {64, 3}, .deflate = 1});
    put(path_, "/y", {kRows}, counting<int64_t>(kRows, 5));
    put(path_, "/positions", {kRows}, counting<int32_t>(kRows, 4));
    put(path_, "/of_windows", {kWindows}, counting<int64_t>(kWindows, 3));
    std::vector<float> cut;
    for (int64_t window = 0; window < kWindows; ++window)
      cut.insert(cut.end(), values_.begin() + window * kStride * 3,
                 values_.begin() + (window * kStride + kLength) * 3);
    put(path_, "/cut", {kWindows, kLength, 3}, cut);
  }
  DataSource source(const std::string& y, WindowTarget target = WindowTarget::last) const {
    return {
        .files = {path_}, .x = "/x", .y = y, .window = kLength, .stride = kStride, .window_target = target};
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_ / "a.h5";
  const std::vector<float> values_ = counting<float>(kRows * 3);
};

TEST_F(WindowsOfFile, AreTheSamplesOfACopyCutIntoThem) {
  expect_same_samples(source(""), {.files = {path_}, .x = "/cut", .y = ""});
}

TEST_F(WindowsOfFile, HaveTheLabelOfTheirLastRow) {
  for (const int64_t budget : {int64_t{1} << 30, int64_t{1}}) {
    const auto data = open_dataset(source("/y"), {.memory_budget = budget, .probe = false});
    EXPECT_EQ(data->size(), kWindows);
    EXPECT_EQ(data->y_shape().rank(), 0);
    EXPECT_EQ(data->classes(), 5);
    const std::vector<int32_t> labels = all_y<int32_t>(*data);
    std::vector<int64_t> counts(5);
    for (int64_t window = 0; window < kWindows; ++window) {
      const int64_t label = (window * kStride + kLength - 1) % 5;
      EXPECT_EQ(labels[static_cast<size_t>(window)], label);
      EXPECT_EQ(data->label(window), label);
      ++counts[static_cast<size_t>(label)];
    }
    EXPECT_EQ(data->class_targets(), counts);
    EXPECT_THAT(
        data->describe(),
        AllOf(HasSubstr("a.h5:/x (500, 3) float32, 69 windows of 20 rows, one every 7, each with the target "
                        "of its last row")));
  }
}

TEST_F(WindowsOfFile, HaveATargetAtEachRow) {
  const auto data = open_dataset(source("/positions", WindowTarget::all), {.probe = false});
  EXPECT_EQ(to_string(data->y_shape()), "(20)");
  EXPECT_EQ(data->target_kind(), TargetKind::classes);
  EXPECT_EQ(data->label(0), -1);
  const std::vector<int32_t> labels = all_y<int32_t>(*data);
  for (int64_t window = 0; window < kWindows; ++window)
    for (int64_t row = 0; row < kLength; ++row)
      EXPECT_EQ(labels[static_cast<size_t>(window * kLength + row)], (window * kStride + row) % 4);
}

TEST_F(WindowsOfFile, HaveATargetOfTheirOwn) {
  const auto data = open_dataset(source("/of_windows"), {.probe = false});
  EXPECT_EQ(data->size(), kWindows);
  const std::vector<int32_t> labels = all_y<int32_t>(*data);
  for (size_t window = 0; window < labels.size(); ++window)
    EXPECT_EQ(labels[window], static_cast<int32_t>(window % 3));
}

TEST_F(WindowsOfFile, StandSideBySideWithoutAStride) {
  DataSource beside = source("");
  beside.stride = 0;
  EXPECT_EQ(open_dataset(beside, {.probe = false})->size(), kRows / kLength);
}

TEST_F(WindowsOfFile, ThatDoNotFitAreRefused) {
  DataSource wide = source("");
  wide.window = 501;
  EXPECT_THAT(error_of([&] { open_dataset(wide, {.probe = false}); }),
              HasSubstr("a.h5:/x has 500 rows, too few for a window of 501"));
  put(path_, "/short", {kRows - 1}, counting<int64_t>(kRows - 1, 5));
  EXPECT_THAT(error_of([&] { open_dataset(source("/short"), {.probe = false}); }),
              HasSubstr("/x has 500 samples, but /short has 499"));
}

}  // namespace
}  // namespace lockstep
