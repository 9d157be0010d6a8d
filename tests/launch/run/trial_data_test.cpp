// What a training, an evaluation and a prediction say of data that is read in another way than its owner may
// think, by the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "src/core/text/json.h"
#include "tests/io/data_files.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TrialData : public testing::Test {
 protected:
  static constexpr int64_t kSamples = 60;

  std::string path() const { return folder_ / "a.h5"; }
  void put_images(const std::string& group, const Shape& sample = {8, 8}) {
    put(path(), group + "/x", sample.batched(kSamples), counting<uint8_t>(kSamples * sample.elements(), 251));
  }
  ProgramResult run(const std::vector<std::string>& arguments) const {
    return run_program(lockstep_command(1, arguments), folder_.path());
  }
  /// Trains one epoch of a perceptron on a group in the run folder `name`.
  ProgramResult train(const std::string& group, const std::vector<std::string>& sets = {},
                      const std::string& name = "run") const {
    std::vector<std::string> arguments = {"train", "--run", folder_ / name};
    std::vector<std::string> all = {"data.train=" + path() + ":" + group, "model.name=mlp", "run.device=cpu",
                                    "train.epochs=1", "train.global_batch=20"};
    all.insert(all.end(), sets.begin(), sets.end());
    for (const std::string& set : all) arguments.insert(arguments.end(), {"--set", set});
    return run(arguments);
  }

  TemporaryFolder folder_;
};

TEST_F(TrialData, TheTaskIsPrintedAndAKeyForcesIt) {
  put_images("/m");
  put(path(), "/m/y", {kSamples}, counting<double>(kSamples, 4));
  const ProgramResult automatic = train("/m", {}, "auto");
  EXPECT_EQ(automatic.exit_code, 0) << automatic.err;
  EXPECT_THAT(
      automatic.out,
      HasSubstr("\ntask: classification, 4 classes, cross-entropy (the floats take few integer values; "
                "if they are numbers to predict, set data.task = \"values\")\n"));
  const std::string regression = "\ntask: regression, 1 value, mean squared error\n";
  EXPECT_THAT(train("/m", {"data.task=values"}, "task").out, HasSubstr(regression));
  EXPECT_THAT(train("/m", {"train.loss=mean_squared_error"}, "loss").out, HasSubstr(regression));
  put(path(), "/few/y", {kSamples}, std::vector<double>(kSamples, 1));
  put_images("/few");
  EXPECT_THAT(
      train("/few", {}, "few").out,
      HasSubstr(
          "regression, 1 value, mean squared error (if they are classes, set data.task = \"classes\")"));
  EXPECT_THAT(train("/few", {"train.loss=cross_entropy"}, "forced").out,
              HasSubstr("classification, 2 classes, cross-entropy\n"));
  EXPECT_THAT(run({"data", "check", path()}).out,
              AllOf(HasSubstr("/m: task: classification, 4 classes, cross-entropy\n"),
                    HasSubstr("/few: task: regression, 1 value, mean squared error\n")));
  const ProgramResult both = train("/m", {"train.loss=cross_entropy", "data.task=values"}, "both");
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_THAT(both.err, HasSubstr("train.loss = \"cross_entropy\" does not fit data.task = \"values\""));
}

TEST_F(TrialData, ValidationAndTestAreWhatTheTrainingDataIs) {
  put_images("/v");
  std::vector<float> y = counting<float>(kSamples);
  y[0] = 0.5f;
  put(path(), "/v/y", {kSamples}, y);
  put_images("/t");
  put(path(), "/t/y", {kSamples}, counting<float>(kSamples, 2));  // alone it would be taken for classes
  const ProgramResult trained = train("/v", {"data.test=" + path() + ":/t"});
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_EQ(run({"eval", folder_ / "run"}).exit_code, 0);
}

TEST_F(TrialData, AClassOfTheTestDataAloneIsDeclared) {
  put_images("/train");
  put(path(), "/train/y", {kSamples}, counting<int64_t>(kSamples, 3));
  put_images("/test");
  put(path(), "/test/y", {kSamples}, counting<int64_t>(kSamples, 4));
  const std::string test = "data.test=" + path() + ":/test";
  const ProgramResult refused = train("/train", {test});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("/test/y: sample 3 has the label 3; labels must be 0 to 2"),
                                 HasSubstr("train with data.classes = 4")));
  const ProgramResult declared = train("/train", {test, "data.classes=4"});
  EXPECT_EQ(declared.exit_code, 0) << declared.err;
  EXPECT_THAT(declared.out, HasSubstr("classification, 4 classes"));
  EXPECT_EQ(declared.err, "");
  const ProgramResult evaluated = run({"eval", folder_ / "run", "--json"});
  EXPECT_EQ(parse_json(evaluated.out)["classes"].size(), 4u);
}

TEST_F(TrialData, HeaderSaysHowSamplesAreReadAndWarnsOnceOfEachFinding) {
  put(path(), "/t/x", {kSamples, 16, 8, 8}, counting<int32_t>(kSamples * 1024, 5000));
  put(path(), "/t/y", {kSamples}, std::vector<int64_t>(kSamples, 1));
  const ProgramResult trained = train("/t", {"train.global_batch=1000", "optimizer.momentum=0.9"});
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out,
              AllOf(HasSubstr(":/t/x (60, 16, 8, 8) int32, in memory ("),
                    HasSubstr("\nsamples: (16, 8, 8) int32, read as height 16, width 8, 8 channels "
                              "(data.layout = \"channels_last\")\n")));
  for (const char* key :
       {"data.layout", "data.normalize", "data.classes", "recall of each class",
        "94 % of what each step computes is padding", "optimizer.momentum = 0.9 has no effect"})
    EXPECT_THAT(trained.err, HasSubstr(key));
  EXPECT_EQ(std::ranges::count(trained.err, '\n'), 6) << trained.err;
}

TEST_F(TrialData, ScalarSamplesAndMissingTargetsAreNoBugs) {
  put(path(), "/s/x", {kSamples}, counting<double>(kSamples));
  put(path(), "/s/y", {kSamples}, counting<int64_t>(kSamples, 2));
  const ProgramResult series = train("/s");
  EXPECT_EQ(series.exit_code, 3);
  EXPECT_THAT(series.err,
              AllOf(HasSubstr("data.train: each sample of "), HasSubstr("a.h5:/s/x is a single number"),
                    HasSubstr("Store 60 samples as (60, 1); if the numbers are one series")));
  put_images("/train");
  put(path(), "/train/y", {kSamples}, counting<int64_t>(kSamples, 2));
  const ProgramResult none = train("/train", {"data.train.y="});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err,
              HasSubstr("no targets to learn from or to compare with: name their data set in data.train.y"));
  const ProgramResult test = train("/train", {"data.test=" + path() + ":/train", "data.test.y="});
  EXPECT_EQ(test.exit_code, 2);
  EXPECT_THAT(test.err, HasSubstr("data.test.y"));
}

TEST_F(TrialData, EvalAndPredictTellTheTwoPartsOfASplitApart) {
  put(path(), "/train/x", {kSamples, 4}, counting<float>(kSamples * 4));
  put(path(), "/train/y", {kSamples}, counting<int64_t>(kSamples, 3));
  ASSERT_EQ(train("/train", {"data.validation_split=0.25", "data.normalize=none"}).exit_code, 0);
  const auto samples = [&](const std::string& split) {
    return parse_json(run({"eval", folder_ / "run", "--split", split, "--json"}).out)["samples"].get<int>();
  };
  EXPECT_EQ(samples("train"), 45);
  EXPECT_EQ(samples("validation"), 15);
  std::vector<int64_t> all;
  for (const std::string split : {"train", "validation"}) {
    const std::string out = folder_ / (split + ".h5");
    const ProgramResult predicted = run({"predict", folder_ / "run", "--split", split, "--out", out});
    ASSERT_EQ(predicted.exit_code, 0) << predicted.err;
    EXPECT_THAT(predicted.out, HasSubstr("/sample has their rows"));
    const hdf5::File file = hdf5::File::open(out);
    std::vector<int64_t> rows(static_cast<size_t>(file.dataset("/sample").extents()[0]));
    file.dataset("/sample").read(DType::i64, rows.data());
    all.insert(all.end(), rows.begin(), rows.end());
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, counting<int64_t>(kSamples));
  const ProgramResult whole =
      run({"predict", folder_ / "run", "--data", path() + ":/train", "--out", folder_ / "w.h5"});
  EXPECT_EQ(whole.exit_code, 0);
  EXPECT_THAT(whole.err, HasSubstr("except those held out by data.validation_split = 0.25"));
  EXPECT_FALSE(hdf5::File::open(folder_ / "w.h5").contains("/sample"));
}

}  // namespace
}  // namespace lockstep
