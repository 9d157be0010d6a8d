// Labels that run from 1 to C.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FirstLabel : public testing::Test {
 protected:
  /// y of 60 samples, or of positions if `row` has extents: the labels again and again.
  template <typename T>
  std::unique_ptr<Dataset> open(const std::vector<T>& labels, DatasetOptions options = {},
                                const Shape& row = {}) {
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    std::vector<T> y;
    for (int64_t i = 0; i < 60 * row.elements(); ++i)
      y.push_back(labels[static_cast<size_t>(i) % labels.size()]);
    put(path, "/x", row.rank() == 0 ? Shape{60, 4} : row.batched(60),
        std::vector<float>(static_cast<size_t>(row.rank() == 0 ? 240 : row.elements() * 60)));
    put(path, "/y", row.batched(60), y);
    options.probe = false;
    return open_xy(path, options);
  }

  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(FirstLabel, IsUnderstoodAndSaid) {
  for (const auto& data : {open<int64_t>({1, 2, 3}), open<uint8_t>({3, 1, 2}), open<double>({1, 2, 3}),
                           open<int64_t>({1, 2, 3}, {.classes = 3})}) {
    EXPECT_EQ(data->classes(), 3);
    EXPECT_EQ(data->understood().first_label, 1);
    EXPECT_THAT(data->class_targets(), ElementsAre(20, 20, 20));
    EXPECT_THAT(data->notes(), ElementsAre(HasSubstr("run from 1 to 3, so that label 1 is class 0")));
    EXPECT_THAT(data->notes()[0], HasSubstr("data.classes = 4"));
  }
  const auto data = open<int64_t>({1, 2, 3});
  EXPECT_THAT(all_y<int32_t>(*data), testing::Each(testing::AllOf(testing::Ge(0), testing::Le(2))));
  EXPECT_EQ(data->label(0), 0);
  EXPECT_EQ(data->label(2), 2);
}

TEST_F(FirstLabel, IsUnderstoodAtPositions) {
  for (const auto& data :
       {open<uint8_t>({1, 2, 3}, {}, {4, 4}), open<int64_t>({1, 2, 3}, {}, {4, 4}),
        open<float>({1, 2, 3}, {}, {4, 4}), open<uint8_t>({1, 2, 3}, {.classes = 3}, {4, 4})}) {
    EXPECT_EQ(data->classes(), 3);
    EXPECT_EQ(data->understood().first_label, 1);
    const std::vector<int32_t> labels = all_y<int32_t>(*data);
    for (size_t i = 0; i < labels.size(); ++i) EXPECT_EQ(labels[i], static_cast<int32_t>(i % 3));
  }
}

TEST_F(FirstLabel, IsZeroWhereOneIsNotCertain) {
  EXPECT_EQ(open<int64_t>({0, 1, 2})->understood().first_label, 0);
  EXPECT_EQ(open<int64_t>({1, 3})->classes(), 4);
  EXPECT_EQ(open<int64_t>({1})->classes(), 2);
  const auto declared = open<int64_t>({1, 2, 3}, {.classes = 4});
  EXPECT_EQ(declared->understood().first_label, 0);
  EXPECT_EQ(declared->classes(), 4);
  EXPECT_THAT(declared->notes(), IsEmpty());
  EXPECT_THAT(error_of([&] {
                open<int64_t>({0, 1, 2, 3}, {.classes = 3});
              }),
              HasSubstr("sample 3 has the label 3; labels must be 0 to 2"));
  EXPECT_THAT(error_of([&] {
                open<uint8_t>({0, 1, 2, 3}, {.classes = 3}, {4, 4});
              }),
              HasSubstr("has the label 3; labels must be 0 to 2"));
}

TEST_F(FirstLabel, LeavesTheIgnoredLabelAsItIs) {
  const auto data = open<int64_t>({1, 2, -100}, {.ignored_label = -100});
  EXPECT_EQ(data->classes(), 2);
  EXPECT_EQ(data->label(1), 1);
  EXPECT_EQ(data->label(2), -1);
  EXPECT_EQ(all_y<int32_t>(*data)[2], -100);
  const auto positions = open<uint8_t>({1, 2, 255}, {.ignored_label = 255}, {4, 4});
  EXPECT_EQ(all_y<int32_t>(*positions)[2], 255);
  EXPECT_EQ(all_y<int32_t>(*positions)[1], 1);
  // Class 1 would become 0, which is ignored.
  EXPECT_EQ(open<int64_t>({0, 1, 2}, {.ignored_label = 0})->understood().first_label, 0);
}

TEST_F(FirstLabel, OfOtherDataIsThatOfTheTrainingData) {
  DatasetOptions options{
      .classes = 3, .kind = TargetKind::classes, .understood = Understood{.first_label = 1}};
  const auto data = open<int64_t>({2, 3}, options);
  EXPECT_EQ(data->label(0), 1);
  EXPECT_EQ(data->label(1), 2);
  EXPECT_THAT(error_of([&] {
                open<int64_t>({1, 0}, options);
              }),
              testing::AllOf(HasSubstr("sample 1 has the label 0; labels must be 1 to 3"),
                             HasSubstr("The labels of the training data begin with 1")));
  EXPECT_THAT(error_of([&] {
                open<int64_t>({1, 4}, options);
              }),
              HasSubstr("sample 1 has the label 4; labels must be 1 to 3"));
  options.understood = Understood{};
  EXPECT_EQ(open<int64_t>({1, 2}, options)->label(0), 1);
}

}  // namespace
}  // namespace lockstep
