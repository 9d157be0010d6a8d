// Whole runs on files as other programs write them, against runs on plain copies of the same numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "src/core/text/json.h"
#include "tests/io/data_files.h"
#include "tests/io/hdf5/family_files.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class LayoutRun : public testing::Test {
 protected:
  static constexpr int64_t kSamples = 120, kWidth = 12;

  ProgramResult run(const std::vector<std::string>& arguments, int ranks = 1) const {
    return run_program(lockstep_command(ranks, arguments), folder_.path());
  }
  /// Trains a perceptron in the run folder `name`.
  ProgramResult train(const std::string& name, std::vector<std::string> sets, int ranks = 1) const {
    std::vector<std::string> arguments = {"train", "--run", folder_ / name};
    sets.insert(sets.end(), {"model.name=mlp", "run.device=cpu", "run.reproducible=true", "train.epochs=2",
                             "train.global_batch=20", "train.micro_batch=5", "data.normalize=none"});
    for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    return run(arguments, ranks);
  }
  std::string weights_of(const std::string& name) const {
    std::ifstream file(folder_ / name + "/metrics.jsonl");
    std::string line, last;
    while (std::getline(file, line)) last = line;
    return parse_json(last)["weights_hash"].get<std::string>();
  }

  TemporaryFolder folder_;
};

TEST_F(LayoutRun, AFileOfMatlabTrainsAsAPlainCopyDoes) {
  const std::string matlab = folder_ / "matlab.mat", plain = folder_ / "plain.h5";
  std::vector<float> across, along;
  for (int64_t value = 0; value < kWidth; ++value)
    for (int64_t i = 0; i < kSamples; ++i)
      across.push_back(static_cast<float>((i * 31 + value * 7) % 17) / 8);
  for (int64_t i = 0; i < kSamples; ++i)
    for (int64_t value = 0; value < kWidth; ++value)
      along.push_back(static_cast<float>((i * 31 + value * 7) % 17) / 8);
  std::vector<double> from_one;
  for (int64_t i = 0; i < kSamples; ++i) from_one.push_back(static_cast<double>(i % 3 + 1));
  put(matlab, "/X", {kWidth, kSamples}, across, {.chunk = {5, 32}, .deflate = 3});
  put(matlab, "/Y", {1, kSamples}, from_one);
  put(plain, "/train/x", {kSamples, kWidth}, along);
  put(plain, "/train/y", {kSamples}, counting<int64_t>(kSamples, 3));

  const std::string files = "data.train.files=" + matlab;
  const ProgramResult trained = train("matlab", {files, "data.train.x=/X", "data.train.y=/Y"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out,
              AllOf(HasSubstr("matlab.mat:/X (12, 120) has its samples on the last axis\n"),
                    HasSubstr("matlab.mat:/Y (1, 120) has its samples on the last axis\n"),
                    HasSubstr("run from 1 to 3, so that label 1 is class 0"), HasSubstr("3 classes")));
  EXPECT_EQ(trained.err, "");
  ASSERT_EQ(train("plain", {"data.train=" + plain + ":/train"}).exit_code, 0);
  EXPECT_EQ(weights_of("matlab"), weights_of("plain"));
  for (const auto& [name, budget, ranks] : {std::tuple{"streamed", "1", 1}, std::tuple{"ranks", "1", 2}}) {
    const ProgramResult other =
        train(name,
              {files, "data.train.x=/X", "data.train.y=/Y", "data.train.sample_axis=last",
               "data.shuffle=full", std::string("data.memory_budget=") + budget},
              ranks);
    ASSERT_EQ(other.exit_code, 0) << other.err;
    EXPECT_EQ(weights_of(name), weights_of("plain")) << name;
  }

  // Without targets, too, samples are on the last axis, and predictions are labels of the file.
  const ProgramResult evaluated = run({"eval", folder_ / "matlab", "--split", "train", "--json"});
  EXPECT_EQ(parse_json(evaluated.out)["samples"], kSamples) << evaluated.err;
  EXPECT_EQ(parse_json(evaluated.out)["classes"][0]["class"], 1);
  const std::string out = folder_ / "p.h5";
  const ProgramResult predicted = run({"predict", folder_ / "matlab", "--split", "train", "--out", out});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.err;
  const hdf5::File file = hdf5::File::open(out);
  std::vector<int32_t> labels(kSamples);
  ASSERT_EQ(file.dataset("/prediction").extents()[0], kSamples);
  file.dataset("/prediction").read(DType::i32, labels.data());
  EXPECT_THAT(labels, testing::Each(AllOf(testing::Ge(1), testing::Le(3))));
}

TEST_F(LayoutRun, AFamilyOfFilesTrainsAsAPlainCopyDoes) {
  const std::string plain = folder_ / "plain.h5", first = folder_ / "part-00.h5";
  put(plain, "/train/x", {kSamples, kWidth}, counting<float>(kSamples * kWidth, 11),
      {.chunk = {7, kWidth}, .deflate = 2});
  put(plain, "/train/y", {kSamples}, counting<int64_t>(kSamples, 3));
  copy_as_family(plain, folder_ / "part-%02d.h5", 2048);
  ASSERT_EQ(train("plain", {"data.train=" + plain + ":/train"}).exit_code, 0);
  const std::string note = " is read as a family of ";
  for (const std::string& path : {first, folder_ / "part-%02d.h5"}) {
    const ProgramResult info = run({"data", "info", path});
    EXPECT_THAT(info.out, HasSubstr(path + note)) << info.err;
    for (const char* budget : {"1", "1 MiB"}) {
      const ProgramResult trained = train("family",
                                          {"data.train=" + path + ":/train", "data.shuffle=full",
                                           std::string("data.memory_budget=") + budget},
                                          2);
      ASSERT_EQ(trained.exit_code, 0) << trained.err;
      EXPECT_THAT(trained.out, HasSubstr(path + note));
      EXPECT_EQ(weights_of("family"), weights_of("plain"));
      std::filesystem::remove_all(folder_ / "family");
    }
    const ProgramResult staged =
        train("staged", {"data.train=" + path + ":/train", "data.stage=" + (folder_ / "local")});
    EXPECT_THAT(staged.err, HasSubstr(path + " is read where it is")) << staged.err;
    EXPECT_EQ(weights_of("staged"), weights_of("plain"));
    std::filesystem::remove_all(folder_ / "staged");
  }
  std::filesystem::remove(folder_ / "part-02.h5");
  const ProgramResult broken = train("broken", {"data.train=" + first + ":/train"});
  EXPECT_EQ(broken.exit_code, 3);
  EXPECT_THAT(broken.err, HasSubstr((folder_ / "part-02.h5") + " does not exist, although "));
}

TEST_F(LayoutRun, WindowsOfASeriesAndRangesOfItsRows) {
  const std::string path = folder_ / "series.h5";
  const int64_t rows = 1000, first = 100, window = 8, stride = 3;
  std::vector<float> series, cut;
  for (int64_t i = 0; i < rows * 2; ++i) series.push_back(static_cast<float>(i * 37 % 101) / 50);
  std::vector<int64_t> labels, of_windows;
  for (int64_t i = 0; i < rows; ++i) labels.push_back(i / 7 % 3);
  for (int64_t begin = first; begin + window <= rows; begin += stride) {
    cut.insert(cut.end(), series.begin() + begin * 2, series.begin() + (begin + window) * 2);
    of_windows.push_back(labels[static_cast<size_t>(begin + window - 1)]);
  }
  put(path, "/s/x", {rows, 2}, series);
  put(path, "/s/y", {rows}, labels);
  const auto count = static_cast<int64_t>(of_windows.size());
  put(path, "/cut/x", {count, window, 2}, cut);
  put(path, "/cut/y", {count}, of_windows);

  const std::vector<std::string> windows = {
      "data.train={ files = \"" + path +
      "\", x = \"/s/x\", y = \"/s/y\", rows = \"100:\", window = 8, stride = 3 }"};
  const ProgramResult trained = train("windows", windows);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out,
              HasSubstr("298 windows of 8 rows, one every 3, each with the target of its last row"));
  ASSERT_EQ(train("cut", {"data.train=" + path + ":/cut"}).exit_code, 0);
  EXPECT_EQ(weights_of("windows"), weights_of("cut"));
  std::vector<std::string> resumed = windows;
  const ProgramResult evaluated =
      run({"eval", folder_ / "windows", "--data", path + ":/s", "--split", "train", "--json"});
  EXPECT_EQ(parse_json(evaluated.out)["samples"], (rows - window) / stride + 1) << evaluated.err;
  // A config's range on the command line.
  EXPECT_THAT(train("range", {"data.train=" + path + ":/cut", "data.train.rows=:40"}).out,
              HasSubstr("/cut/x (40, 8, 2) float32"));
}

}  // namespace
}  // namespace lockstep
