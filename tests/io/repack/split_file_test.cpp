#include "io/repack/split_file.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>

#include "tests/io/data_files.h"
#include "tests/io/files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
std::vector<T> values_in(const std::string& path, const std::string& name) {
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open(path);
  const hdf5::Dataset dataset = file.dataset(name);
  std::vector<T> values(static_cast<size_t>(dataset.elements()));
  dataset.read(dtype_of<T>(), values.data());
  return values;
}

class SplitFile : public testing::Test {
 protected:
  static constexpr int64_t kRows = 1000;

  /// 1000 samples of 4 numbers: the row and what follows, sorted by class, with weights.
  SplitFile() {
    std::vector<float> x;
    std::vector<int64_t> y;
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t i = 0; i < 4; ++i) x.push_back(static_cast<float>(row + i));
      y.push_back(row / 100);
    }
    put(in, "/all/x", {kRows, 2, 2}, x, {{24, 2, 2}, 5});
    put(in, "/all/y", {kRows}, y);
    put(in, "/all/weight", {kRows}, counting<double>(kRows));
    put(in, "/all/classes", {10}, counting<int32_t>(10));
    put(in, "/all/deeper/x", {kRows}, counting<int32_t>(kRows));
    const hdf5::Lock lock;
    hdf5::File file = hdf5::File::open_for_writing(in);
    file.set_attribute("/all/x", "unit", std::string("mm"));
  }

  SplitOptions options{.parts = {{"train", 0.7}, {"validation", 0.1}, {"test", 0.2}}, .by_class = true};
  const TemporaryFolder folder;
  const std::string in = folder / "in.h5", out = folder / "out.h5";
  const DataSource source{{in}, "/all/x", "/all/y"};
};

TEST_F(SplitFile, WritesEachRowOnceWithAllThatBelongsToIt) {
  std::vector<std::pair<int64_t, int64_t>> progress;
  options.threads = 2;
  options.progress = [&](int64_t done, int64_t all) { progress.emplace_back(done, all); };
  const SplitResult result = split_file(source, out, options);
  EXPECT_THAT(result.datasets, ElementsAre("x", "y", "weight"));
  EXPECT_THAT(result.left_out, ElementsAre(HasSubstr("/all/classes has 10 rows")));
  std::vector<double> rows;
  for (const SplitResult::Part& part : result.parts) {
    const std::string group = "/" + part.name;
    const auto x = values_in<float>(out, group + "/x");
    const auto y = values_in<int64_t>(out, group + "/y");
    const auto weight = values_in<double>(out, group + "/weight");
    ASSERT_EQ(static_cast<int64_t>(weight.size()), part.samples);
    EXPECT_TRUE(std::ranges::is_sorted(weight));
    for (size_t i = 0; i < weight.size(); ++i) {
      for (size_t j = 0; j < 4; ++j) ASSERT_EQ(x[4 * i + j], weight[i] + static_cast<double>(j));
      ASSERT_EQ(y[i], static_cast<int64_t>(weight[i]) / 100);
    }
    ASSERT_EQ(part.classes.size(), 10u);
    for (const auto& [label, count] : part.classes)
      EXPECT_NEAR(static_cast<double>(count), static_cast<double>(part.samples) / 10, 2);
    rows.insert(rows.end(), weight.begin(), weight.end());
  }
  std::ranges::sort(rows);
  EXPECT_EQ(rows, counting<double>(kRows));
  EXPECT_EQ(result.parts[0].samples, 700);
  EXPECT_EQ(progress.back(), std::pair(kRows * 32, kRows * 32));
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open(out);
  EXPECT_EQ(file.dataset("/test/y").layout(), "contiguous");
  EXPECT_EQ(file.dataset("/train/x").filters().size(), 2u);
  EXPECT_EQ(file.string_attribute("/validation/x", "unit"), "mm");
}

TEST_F(SplitFile, NeedsLittleMemoryAndDependsOnTheSeedAlone) {
  split_file(source, out, options);
  const auto expected = values_in<float>(out, "/test/x");
  for (const int threads : {1, 3}) {
    options.memory_bytes = 5000;
    options.threads = threads;
    split_file(source, out, options);
    EXPECT_EQ(values_in<float>(out, "/test/x"), expected);
  }
  options.seed = 2;
  split_file(source, out, options);
  EXPECT_NE(values_in<float>(out, "/test/x"), expected);
  options.by_class = false;
  const SplitResult plain = split_file({{in}, "/all/x", ""}, out, options);
  EXPECT_TRUE(plain.parts[0].classes.empty());
  // y is copied as one of the data sets beside x.
  EXPECT_EQ(values_in<int64_t>(out, "/train/y").size(), 700u);
}

TEST_F(SplitFile, LeavesNothingBehindWhenItFails) {
  EXPECT_THAT(data_error_of([&] {
                split_file({{in}, "/all/x", "/all/classes"}, out, options);
              }),
              HasSubstr("/all/classes"));
  EXPECT_THAT(error_of(
                  [&] {
                    split_file({{in}, "/all/x", "/all/weight"}, out, options);
                  },
                  ExitCode::usage),
              HasSubstr("--by-class needs one class per sample"));
  EXPECT_THAT(data_error_of([&] {
                split_file({{in}, "/all/none", ""}, out, options);
              }),
              HasSubstr("/all/none"));
  int64_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
  EXPECT_EQ(files, 1);
}

}  // namespace
}  // namespace lockstep
