#include "io/dataset/windows/token_windows.h"

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TokenWindows : public testing::Test {
 protected:
  std::unique_ptr<Dataset> open(DatasetOptions options, const std::vector<std::string>& names = {"ids.h5"}) {
    options.task = TargetTask::tokens;
    DataSource source{{}, "/x", ""};
    for (const std::string& name : names) source.files.push_back(folder_ / name);
    return open_dataset(source, options);
  }
  std::string path() const { return folder_ / "ids.h5"; }

  TemporaryFolder folder_;
};

TEST_F(TokenWindows, LieSideBySideOrOverlap) {
  put<uint8_t>(path(), "/x", {8}, {3, 1, 4, 1, 5, 9, 2, 6});
  const auto data = open({.context = 3});
  EXPECT_EQ(data->size(), 2);
  EXPECT_EQ(data->x_shape(), Shape{3});
  EXPECT_EQ(data->y_shape(), Shape{3});
  EXPECT_EQ(data->x_dtype(), DType::i32);
  EXPECT_EQ(data->target_kind(), TargetKind::classes);
  EXPECT_EQ(data->classes(), 10);
  EXPECT_THAT(all_x<int32_t>(*data), ElementsAre(3, 1, 4, 1, 5, 9));
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(1, 4, 1, 5, 9, 2));

  const auto overlapping = open({.context = 3, .stride = 2});
  EXPECT_EQ(overlapping->size(), 3);
  EXPECT_THAT(all_x<int32_t>(*overlapping), ElementsAre(3, 1, 4, 4, 1, 5, 5, 9, 2));
  EXPECT_THAT(all_y<int32_t>(*overlapping), ElementsAre(1, 4, 1, 1, 5, 9, 9, 2, 6));
  EXPECT_EQ(open({.context = 7})->size(), 1);
  EXPECT_EQ(open({.context = 1, .stride = 1})->size(), 7);
}

TEST_F(TokenWindows, AreReadAlikeFromMemoryAndFromFilesOfAnyIntegers) {
  std::optional<std::vector<int32_t>> expected;
  const auto check = [&](const char* name, const auto& ids, const hdf5::Storage& storage) {
    put(folder_ / name, "/x", {1000}, ids, storage);
    for (const int64_t budget : {int64_t{1} << 20, int64_t{900}}) {
      SCOPED_TRACE(fmt::format("{}, {} bytes", name, budget));
      const auto data = open({.memory_budget = budget, .context = 7, .stride = 3}, {name});
      EXPECT_EQ(data->in_memory(), budget > 900);
      EXPECT_EQ(data->size(), 331);
      const auto x = all_x<int32_t>(*data);
      if (!expected) expected = x;
      EXPECT_EQ(x, *expected);
      EXPECT_EQ(all_y<int32_t>(*data)[0], x[1]);
    }
  };
  check("u8.h5", counting<uint8_t>(1000, 199), {});
  check("i32.h5", counting<int32_t>(1000, 199), {});
  check("i64.h5", counting<int64_t>(1000, 199), {});
  check("deflate.h5", counting<uint8_t>(1000, 199), {.chunk = {64}, .deflate = 3});
  const auto memory = open({.context = 7}, {"u8.h5"});
  const auto streamed = open({.memory_budget = 900, .context = 7}, {"u8.h5"});
  EXPECT_EQ(memory->fingerprint(), streamed->fingerprint());
  EXPECT_NE(memory->fingerprint(), open({.context = 8}, {"u8.h5"})->fingerprint());
  EXPECT_THAT(memory->describe(), AllOf(HasSubstr("/x (1000) uint8, in memory (1000 B on each rank)"),
                                        HasSubstr("142 windows of 7 tokens, one every 7")));
}

TEST_F(TokenWindows, GoOnInTheNextFile) {
  put<int32_t>(folder_ / "a.h5", "/x", {3}, {0, 1, 2});
  put<int32_t>(folder_ / "b.h5", "/x", {2}, {3, 4});
  EXPECT_THAT(all_x<int32_t>(*open({.context = 2}, {"a.h5", "b.h5"})), ElementsAre(0, 1, 2, 3));
}

TEST_F(TokenWindows, APartReadsTheSame) {
  put(path(), "/x", {100}, counting<int32_t>(100));
  const Split split = split_dataset(open({.context = 5}), 0.3, 1);
  EXPECT_EQ(split.train->size() + split.validation->size(), 19);
  for (const auto* part : {split.train.get(), split.validation.get()})
    for (size_t i = 0; i < all_x<int32_t>(*part).size(); ++i)
      EXPECT_EQ(all_y<int32_t>(*part)[i], all_x<int32_t>(*part)[i] + 1);
}

TEST_F(TokenWindows, IdsMustBeInRange) {
  put<int32_t>(path(), "/x", {5}, {0, 1, 70, 3, 4});
  EXPECT_THAT(error_of([&] { open({.classes = 65, .context = 2}); }),
              AllOf(HasSubstr("sample 2 has the token id 70"), HasSubstr("0 to 64 (65 classes)")));
  EXPECT_EQ(open({.classes = 100, .context = 2})->classes(), 100);
  // Streamed ids whose number is known are checked as they are read.
  const auto streamed = open({.memory_budget = 1, .classes = 65, .kind = TargetKind::classes, .context = 2});
  EXPECT_THAT(error_of([&] { all_x<int32_t>(*streamed); }), HasSubstr("token id 70"));
  put<int64_t>(folder_ / "negative.h5", "/x", {3}, {0, -1, 2});
  EXPECT_THAT(error_of([&] { open({.context = 1}, {"negative.h5"}); }), HasSubstr("token id -1"));
}

TEST_F(TokenWindows, NeedOneSequenceOfIntegersThatIsLongEnough) {
  put<uint8_t>(path(), "/x", {5}, {0, 1, 2, 3, 4});
  EXPECT_THAT(error_of([&] { open({.context = 5}); }),
              HasSubstr("has 5 tokens, but a window of data.context = 5 needs 6"));
  put<float>(folder_ / "floats.h5", "/x", {5}, {0, 1, 2, 3, 4});
  EXPECT_THAT(error_of([&] { open({.context = 2}, {"floats.h5"}); }), HasSubstr("token ids are integers"));
  put<uint8_t>(folder_ / "rows.h5", "/x", {2, 3}, {0, 1, 2, 3, 4, 5});
  EXPECT_THAT(error_of([&] { open({.context = 2}, {"rows.h5"}); }),
              AllOf(HasSubstr("holds sequences of 3 tokens"), HasSubstr("Remove the key")));
}

}  // namespace
}  // namespace lockstep
