#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/dataset/layouts/move_axis.h"
#include "io/dataset/layouts/open_rows.h"
#include "tests/io/dataset/layouts/same_samples.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// The array (outer, rows, inner) as (rows, outer, inner), one number at a time.
template <typename T>
std::vector<T> with_rows_first(const std::vector<T>& values, int64_t outer, int64_t rows, int64_t inner) {
  std::vector<T> moved(values.size());
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t i = 0; i < inner; ++i)
        moved[static_cast<size_t>((r * outer + o) * inner + i)] =
            values[static_cast<size_t>((o * rows + r) * inner + i)];
  return moved;
}

TEST(MoveAxis, OfAnyExtentsAndSizes) {
  const auto check = [](auto zero, int64_t outer, int64_t rows, int64_t inner) {
    using T = decltype(zero);
    const auto values = counting<T>(outer * rows * inner);
    std::vector<T> moved(values.size());
    move_axis_first(reinterpret_cast<const std::byte*>(values.data()), outer, rows, inner, sizeof(T),
                    reinterpret_cast<std::byte*>(moved.data()));
    EXPECT_EQ(moved, with_rows_first(values, outer, rows, inner)) << outer << rows << inner;
  };
  for (const int64_t outer : {1, 3, 32, 70})
    for (const int64_t rows : {1, 31, 65})
      for (const int64_t inner : {1, 2, 3}) {
        check(uint8_t{}, outer, rows, inner);
        check(float{}, outer, rows, inner);
        check(double{}, outer, rows, inner);
      }
}

class AxisRowsOfFile : public testing::Test {
 protected:
  /// Writes the same numbers with the rows on the first axis, and on another.
  template <typename T>
  void compare(int64_t outer, int64_t rows, int64_t inner, int axis, const Shape& stored,
               const hdf5::Storage& storage) {
    SCOPED_TRACE(to_string(stored));
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    const auto values = counting<T>(outer * rows * inner, 251);
    put(path, "/other", stored, values, storage);
    Shape row;
    for (int at = 0; at < stored.rank(); ++at)
      if (at != axis) row = Shape(std::vector<int64_t>(extents_and(row, stored[at])));
    put(path, "/plain", row.batched(rows), with_rows_first(values, outer, rows, inner));
    expect_same_samples({.files = {path}, .x = "/other", .y = "", .sample_axis = axis},
                        {.files = {path}, .x = "/plain", .y = ""});
    expect_same_samples({.files = {path}, .x = "/other", .y = "", .sample_axis = axis - stored.rank()},
                        {.files = {path}, .x = "/plain", .y = ""});
  }
  static std::vector<int64_t> extents_and(const Shape& shape, int64_t extent) {
    std::vector<int64_t> extents = extents_of(shape);
    extents.push_back(extent);
    return extents;
  }

  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(AxisRowsOfFile, TheLastAxisInEveryStorage) {
  for (const hdf5::Storage& storage :
       {hdf5::Storage{}, hdf5::Storage{.chunk = {5, 3, 100}},
        hdf5::Storage{.chunk = {5, 3, 100}, .deflate = 1}, hdf5::Storage{.chunk = {7, 6, 1}, .deflate = 1},
        hdf5::Storage{.chunk = {1, 1, 1003}, .deflate = 1}}) {
    compare<uint8_t>(42, 1003, 1, 2, {7, 6, 1003}, storage);
    compare<float>(42, 1003, 1, 2, {7, 6, 1003}, storage);
  }
  compare<int64_t>(42, 1003, 1, 2, {7, 6, 1003}, {.chunk = {5, 3, 100}, .deflate = 1});
}

TEST_F(AxisRowsOfFile, AMiddleAxisAndOneBehindExtentsOf1) {
  compare<float>(7, 300, 5, 1, {7, 300, 5}, {});
  compare<float>(7, 300, 5, 1, {7, 300, 5}, {.chunk = {2, 64, 5}, .deflate = 1});
  compare<uint8_t>(1, 300, 5, 1, {1, 300, 5}, {});
}

TEST_F(AxisRowsOfFile, RowsOfContiguousValuesAreReadInBlocks) {
  const std::string path = folder_ / "a.h5";
  put(path, "/x", {16, 100'000}, counting<float>(1'600'000));
  const auto rows = open_rows(path, "/x", {.sample_axis = -1});
  EXPECT_EQ(rows->rows(), 100'000);
  EXPECT_EQ(rows->facts().block_rows, 16'385);
  EXPECT_EQ(rows->facts().block_bytes, 16'385. * 64);
  EXPECT_THAT(rows->facts().notes,
              ElementsAre(HasSubstr("a.h5:/x (16, 100000) has its samples on the last axis")));
  EXPECT_THAT(open_rows(path, "/x")->facts().notes, IsEmpty());
  std::vector<float> row(16);
  rows->read_rows(77'777, 1, DType::f32, reinterpret_cast<std::byte*>(row.data()));
  for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(row[i], static_cast<float>(i) * 100'000 + 77'777);
}

TEST_F(AxisRowsOfFile, AnAxisThatIsNotThereIsNamed) {
  const std::string path = folder_ / "a.h5";
  put(path, "/x", {16, 10}, counting<float>(160));
  for (const int axis : {2, -3})
    EXPECT_THAT(error_of([&] { open_rows(path, "/x", {.sample_axis = axis}); }),
                AllOf(HasSubstr("a.h5:/x has no axis " + std::to_string(axis)), HasSubstr("(16, 10)")));
}

}  // namespace
}  // namespace lockstep
