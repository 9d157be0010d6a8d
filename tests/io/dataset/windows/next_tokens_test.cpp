#include "io/dataset/windows/next_tokens.h"

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class NextTokens : public testing::Test {
 protected:
  std::unique_ptr<Dataset> open(DatasetOptions options = {}, const std::string& y = "") {
    options.task = TargetTask::tokens;
    return open_dataset({{path()}, "/x", y}, options);
  }
  std::string path() const { return folder_ / "tokens.h5"; }

  TemporaryFolder folder_;
};

TEST_F(NextTokens, TargetsAreTheIdsOfOnePositionLater) {
  put<int64_t>(path(), "/x", {2, 4}, {5, 0, 3, 1, 2, 2, 0, 4});
  const auto data = open();
  EXPECT_EQ(data->size(), 2);
  EXPECT_EQ(data->x_shape(), Shape{3});
  EXPECT_EQ(data->y_shape(), Shape{3});
  EXPECT_EQ(data->x_dtype(), DType::i32);
  EXPECT_EQ(data->target_kind(), TargetKind::classes);
  EXPECT_EQ(data->classes(), 6) << "an id that only comes in counts too";
  EXPECT_THAT(all_x<int32_t>(*data), ElementsAre(5, 0, 3, 2, 2, 0));
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(0, 3, 1, 2, 0, 4));
}

TEST_F(NextTokens, AreReadAlikeFromMemoryAndFromFilesOfAnyIntegers) {
  const auto ids = counting<uint8_t>(50 * 9, 7);
  put(path(), "/x", {50, 9}, ids);
  const auto memory = open(), streamed = open({.memory_budget = 100});
  EXPECT_TRUE(memory->in_memory());
  EXPECT_FALSE(streamed->in_memory());
  EXPECT_EQ(all_x<int32_t>(*memory), all_x<int32_t>(*streamed));
  EXPECT_EQ(all_y<int32_t>(*memory), all_y<int32_t>(*streamed));
  EXPECT_EQ(memory->fingerprint(), streamed->fingerprint());
}

TEST_F(NextTokens, APartReadsTheSame) {
  put(path(), "/x", {10, 3}, counting<int32_t>(30));
  const Split split = split_dataset(open(), 0.3, 1);
  for (const auto* part : {split.train.get(), split.validation.get()})
    for (size_t i = 0; i < all_x<int32_t>(*part).size(); ++i)
      EXPECT_EQ(all_y<int32_t>(*part)[i], all_x<int32_t>(*part)[i] + 1);
}

TEST_F(NextTokens, IdsMustBeBelowTheDeclaredNumber) {
  put<int32_t>(path(), "/x", {2, 3}, {0, 1, 2, 3, 4, 70});
  EXPECT_THAT(error_of([&] { open({.classes = 65}); }), AllOf(HasSubstr("/x: sample 1"), HasSubstr("70")));
  EXPECT_EQ(open({.classes = 100})->classes(), 100);
}

TEST_F(NextTokens, AnIgnoredIdIsStillAnInput) {
  put<int32_t>(path(), "/x", {1, 3}, {0, 1, 9});
  EXPECT_EQ(open({.ignored_label = 9})->classes(), 10);
  EXPECT_THAT(error_of([&] {
                put<int32_t>(folder_ / "negative.h5", "/x", {1, 3}, {0, 1, -100});
                open_dataset({{folder_ / "negative.h5"}, "/x", ""},
                             {.task = TargetTask::tokens, .ignored_label = -100});
              }),
              HasSubstr("-100"));
}

TEST_F(NextTokens, NeedsSequences) {
  put(path(), "/x", {4096}, counting<int32_t>(4096, 5));
  EXPECT_THAT(error_of([&] { open(); }),
              AllOf(HasSubstr("/x has the shape (4096)"), HasSubstr(".reshape(-1, T)")));
  put(folder_ / "images.h5", "/x", {3, 4, 4}, counting<int32_t>(48, 5));
  EXPECT_THAT(error_of([&] {
                open_dataset({{folder_ / "images.h5"}, "/x", ""}, {.task = TargetTask::tokens});
              }),
              HasSubstr("in a row of their own"));
}

}  // namespace
}  // namespace lockstep
