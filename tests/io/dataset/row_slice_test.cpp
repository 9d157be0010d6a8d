#include "io/dataset/row_slice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/dataset/layouts/same_samples.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(RowSlice, ReadsPythonsRanges) {
  const auto of = [](const std::string& text) { return parse_row_slice(text).value().of(10, "a.h5:/x"); };
  EXPECT_EQ(of("2:5"), (RowRange{2, 3}));
  EXPECT_EQ(of(":"), (RowRange{0, 10}));
  EXPECT_EQ(of("7:"), (RowRange{7, 3}));
  EXPECT_EQ(of(":-4"), (RowRange{0, 6}));
  EXPECT_EQ(of("-3:-1"), (RowRange{7, 2}));
  EXPECT_EQ(of(" 0 : 10 "), (RowRange{0, 10}));
  for (const char* text : {"", "5", "1:2:3", "a:b", "1.5:2", "1-2"})
    EXPECT_FALSE(parse_row_slice(text)) << text;
  for (const char* text : {"2:5", "7:", ":-4", "-3:-1"})
    EXPECT_EQ(to_string(parse_row_slice(text).value()), text);
  EXPECT_EQ(to_string(parse_row_slice(":").value()), "");
}

TEST(RowSlice, NamesTheDataSetAndItsLengthWhenOutOfRange) {
  for (const char* text : {"0:11", "-11:", "11:12"})
    EXPECT_THAT(error_of([&] { parse_row_slice(text)->of(10, "a.h5:/x"); }),
                AllOf(HasSubstr("a.h5:/x has 10 rows"), HasSubstr(text)));
  for (const char* text : {"5:5", "5:2", "10:"})
    EXPECT_THAT(error_of([&] { parse_row_slice(text)->of(10, "a.h5:/x"); }),
                HasSubstr("means none of the 10 rows of a.h5:/x"));
}

/// Three files of 100, 30 and 70 rows, and the same in one, cut to size.
TEST(RowSlice, CountsThroughAllFiles) {
  const TemporaryFolder folder;
  const auto all = counting<float>(200 * 5);
  const std::vector<int64_t> rows = {100, 30, 70};
  for (const hdf5::Storage& storage : {hdf5::Storage{}, hdf5::Storage{.chunk = {16, 5}, .deflate = 1}}) {
    std::vector<std::string> files;
    int64_t before = 0;
    for (const int64_t count : rows) {
      files.push_back(folder / (std::to_string(before) + (storage.chunk.empty() ? "a" : "b") + ".h5"));
      put(files.back(), "/x", {count, 5},
          std::vector<float>{all.begin() + before * 5, all.begin() + (before + count) * 5}, storage);
      before += count;
    }
    for (const auto& [text, first, end] : {std::tuple{"3:199", 3, 199}, std::tuple{"101:128", 101, 128},
                                           std::tuple{"-75:", 125, 200}, std::tuple{":100", 0, 100}}) {
      SCOPED_TRACE(text);
      const std::string cut = folder / (std::string(text) + (storage.chunk.empty() ? "a" : "b") + ".h5");
      put(cut, "/x", {end - first, 5}, std::vector<float>{all.begin() + first * 5, all.begin() + end * 5});
      expect_same_samples({.files = files, .x = "/x", .y = "", .rows = *parse_row_slice(text)},
                          {.files = {cut}, .x = "/x", .y = ""});
    }
    EXPECT_THAT(error_of([&] {
                  open_dataset({.files = files, .x = "/x", .y = "", .rows = *parse_row_slice(":201")},
                               {.probe = false});
                }),
                AllOf(HasSubstr(files[0] + ":/x with 2 more files has 200 rows"), HasSubstr(":201")));
  }
}

TEST(RowSlice, LeavesOutBadRowsOfTheSameChunk) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  constexpr int64_t kRows = 40, kWidth = 3;
  std::vector<float> x = counting<float>(kRows * kWidth);
  const std::vector<float> good(x.begin() + 5 * kWidth, x.begin() + 37 * kWidth);
  for (const int64_t bad : {2, 38}) x[static_cast<size_t>(bad * kWidth)] = INFINITY;
  put(path, "/x", {kRows, kWidth}, x, {.chunk = {8, kWidth}, .deflate = 1});
  for (const int64_t budget : {int64_t{1} << 20, int64_t{1}}) {
    const auto data = open_dataset({.files = {path}, .x = "/x", .y = "", .rows = *parse_row_slice("5:37")},
                                   {.memory_budget = budget, .probe = false});
    EXPECT_EQ(data->in_memory(), budget > 1);
    EXPECT_EQ(all_x<float>(*data), good);
  }
}

TEST(RowSlice, AppliesToTargetsAndErrorsNameTheRowOfTheFile) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  std::vector<float> x = counting<float>(40 * 3);
  x[31 * 3] = std::numeric_limits<float>::quiet_NaN();
  put(path, "/x", {40, 3}, x);
  put(path, "/y", {40}, counting<int64_t>(40, 4));
  DataSource source{.files = {path}, .x = "/x", .y = "/y", .rows = *parse_row_slice("5:30")};
  const auto data = open_dataset(source, {.probe = false});
  EXPECT_EQ(data->size(), 25);
  const std::vector<int32_t> labels = all_y<int32_t>(*data);
  for (size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(labels[i], static_cast<int32_t>((i + 5) % 4));
  source.rows = *parse_row_slice("5:35");
  EXPECT_THAT(error_of([&] { open_dataset(source, {.probe = false}); }),
              HasSubstr("/x: sample 31 holds NaN"));
}

TEST(RowSlice, BlocksBeginWhereThoseOfTheFileDo) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/x", {100, 3}, counting<float>(300), {.chunk = {16, 3}, .deflate = 1});
  const auto data = open_dataset({.files = {path}, .x = "/x", .y = "", .rows = *parse_row_slice("10:70")},
                                 {.memory_budget = 1, .probe = false});
  const StoredBlocks blocks = data->stored_blocks();
  EXPECT_EQ(blocks.rows(), 60);
  EXPECT_EQ(blocks.count(), 5);
  EXPECT_EQ(blocks.rows_of(0), (RowRange{0, 6}));
  EXPECT_EQ(blocks.rows_of(1), (RowRange{6, 16}));
  EXPECT_FALSE(data->stored_samples().aligned);
}

}  // namespace
}  // namespace lockstep
