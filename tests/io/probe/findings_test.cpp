#include "io/probe/findings.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "io/probe/inspect.h"
#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Findings : public testing::Test {
 protected:
  static constexpr int64_t kSamples = 60;

  /// What is found in x (60, ...) with targets y (60).
  template <typename X, typename Y>
  std::vector<std::string> of(const Shape& sample, const std::vector<X>& x, const std::vector<Y>& y,
                              const Reading& reading = {}) {
    const std::string group = "/" + std::to_string(++count_);
    put(path(), group + "/x", sample.batched(kSamples), x);
    put(path(), group + "/y", {kSamples}, y);
    const auto data = open_dataset({{path()}, group + "/x", group + "/y"},
                                   {.task = reading.task, .classes = reading.classes});
    std::vector<std::string> texts;
    for (const Finding& finding : findings_of(*data->facts(), reading)) {
      texts.push_back(finding.text);
      EXPECT_THAT(finding.text, HasSubstr(finding.key));
    }
    return texts;
  }
  std::vector<std::string> of_labels(const std::vector<int64_t>& y, const Reading& reading = {}) {
    return of({2}, std::vector<uint8_t>(kSamples * 2, 200), y, reading);
  }
  std::vector<std::string> of_samples(const Shape& sample, const Reading& reading = {}) {
    return of(sample, std::vector<uint8_t>(static_cast<size_t>(kSamples * sample.elements()), 200),
              counting<int64_t>(kSamples, 3), reading);
  }
  std::string path() const { return folder_ / "a.h5"; }

  TemporaryFolder folder_;
  int count_ = 0;
};

std::vector<int64_t> cycling(const std::vector<int64_t>& labels) {
  std::vector<int64_t> y;
  for (size_t i = 0; i < 60; ++i) y.push_back(labels[i % labels.size()]);
  return y;
}

TEST_F(Findings, NothingInOrdinaryImages) {
  EXPECT_THAT(of_samples({8, 8}), IsEmpty());
  EXPECT_THAT(of_samples({16, 16, 3}), IsEmpty());
  EXPECT_THAT(of_samples({8, 12, 1}), IsEmpty());
  EXPECT_THAT(of_samples({12}), IsEmpty());
}

TEST_F(Findings, LabelsFromOneOnMakeNoOutputTooMany) {
  EXPECT_THAT(of_labels(cycling({1, 2, 3})), IsEmpty());
  EXPECT_THAT(of_labels(cycling({1, 2, 3}), {.classes = 4}), IsEmpty());
}

TEST_F(Findings, LabelsWithGapsMakeManyClasses) {
  EXPECT_THAT(
      of_labels(cycling({3, 7, 1000})),
      ElementsAre(AllOf(HasSubstr("which makes 1001 classes, of which 3 have a sample: number them 0 to 2"),
                        HasSubstr("data.classes = 1001"), HasSubstr("data.task = \"values\""),
                        HasSubstr("train.ignore_label = 1000"))));
}

TEST_F(Findings, AClassThatIsNearlyEverything) {
  std::vector<int64_t> y(kSamples, 0);
  y[7] = 1;
  EXPECT_THAT(of_labels(y), ElementsAre(AllOf(HasSubstr("98.3 % of the labels"), HasSubstr("are 0"))));
  EXPECT_THAT(of_labels(y, {.weighed = true}), IsEmpty());
  EXPECT_THAT(of_labels(cycling({0, 0, 0, 1})), IsEmpty());
}

TEST_F(Findings, InputsFarFromZeroAndOne) {
  const std::vector<int64_t> y = counting<int64_t>(kSamples, 3);
  const auto values = counting<float>(kSamples * 16, 256);
  EXPECT_THAT(of({4, 4}, values, y),
              ElementsAre(AllOf(HasSubstr("/x holds float32 from 0 to 255 (in 16 samples)"),
                                HasSubstr("data.normalize = { mean = ["))));
  EXPECT_THAT(of({4, 4}, values, y, {.scaled = true}), IsEmpty());
  EXPECT_THAT(of({16}, counting<int32_t>(kSamples * 16, 5000), y),
              ElementsAre(AllOf(HasSubstr("holds int32 from"), HasSubstr("data.task = \"tokens\""))));
  EXPECT_THAT(of({4, 4}, std::vector<float>(kSamples * 16, 0.5f), y), IsEmpty());
}

TEST_F(Findings, ChannelsThatComeFirst) {
  EXPECT_THAT(of_samples({3, 32, 32}),
              ElementsAre(AllOf(HasSubstr("(3, 32, 32), which are read channels-last"),
                                HasSubstr("height 3, width 32, 32 channels"),
                                HasSubstr("data.layout = \"channels_first\""))));
  EXPECT_THAT(of_samples({3, 32, 32}, {.channels_first = true}), IsEmpty());
  EXPECT_THAT(of_samples({16, 32, 32}), SizeIs(1));
  EXPECT_THAT(of_samples({32, 32, 16}), IsEmpty());
  EXPECT_THAT(of_samples({32, 32, 3}, {.channels_first = true}),
              ElementsAre(HasSubstr("data.layout = \"channels_last\"")));
  EXPECT_THAT(of_samples({8, 8, 8}), IsEmpty()) << "nothing tells them apart";
}

TEST_F(Findings, FloatsOfMinusOneAndOneMayBeClasses) {
  const std::vector<uint8_t> x(kSamples * 2, 200);
  std::vector<double> y;
  for (const int64_t label : cycling({-1, 1})) y.push_back(static_cast<double>(label));
  EXPECT_THAT(of({2}, x, y), ElementsAre(HasSubstr("only whole numbers from -1 to 1")));
  EXPECT_THAT(of({2}, x, y, {.task = TargetTask::values}), IsEmpty());
}

TEST_F(Findings, CheckOfAFileFindsWhatATrainingFinds) {
  of({4, 4}, counting<float>(kSamples * 16, 256), cycling({1, 2, 3}));
  const FileCheck check = check_file(path());
  ASSERT_THAT(check.sources, SizeIs(1));
  EXPECT_EQ(check.sources[0].source, "/1");
  EXPECT_EQ(check.sources[0].task, "classification, 3 classes, cross-entropy");
  const auto data = open_dataset({{path()}, "/1/x", "/1/y"}, {});
  const std::vector<Finding> expected = findings_of(*data->facts(), {});
  ASSERT_EQ(check.sources[0].findings.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(check.sources[0].findings[i].text, expected[i].text);
    EXPECT_EQ(check.sources[0].findings[i].key, expected[i].key);
  }
  EXPECT_THAT(check.problems, IsEmpty());
}

TEST_F(Findings, CheckOfAFileRefusesLabelsThatATrainingRefuses) {
  put(path(), "/x", {4, 2}, counting<uint8_t>(8));
  put(path(), "/y", {4}, std::vector<int64_t>{-1, 1, -1, 1});
  EXPECT_THAT(check_file(path()).problems, ElementsAre(HasSubstr("/y: sample 0 has the label -1")));
}

TEST_F(Findings, CheckOfAFileCountsClassesByName) {
  const std::string file = LOCKSTEP_SHARED_DATA "/hdf5-trials/strings.h5";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
  const FileCheck check = check_file(file);
  EXPECT_THAT(check.problems, IsEmpty());
  ASSERT_THAT(check.sources, SizeIs(1));
  EXPECT_THAT(check.sources[0].class_names, ElementsAre("cat", "cow", "dog", "hen"));
  EXPECT_EQ(check.sources[0].class_targets.size(), 4u);
  EXPECT_EQ(check.sources[0].task, "classification, 4 classes, cross-entropy");
}

TEST_F(Findings, CheckOfAFileReadsSequences) {
  const hdf5::Id type(H5Tvlen_create(H5T_NATIVE_FLOAT));
  std::vector<float> values = {1, 2, NAN};
  const std::vector<hvl_t> good = {{2, values.data()}, {1, values.data()}},
                           bad = {{1, values.data()}, {3, values.data()}};
  put_elements(path(), "/train/x", {2}, type.get(), good.data());
  put(path(), "/train/y", {2}, std::vector<int32_t>{0, 1});
  const FileCheck check = check_file(path());
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_THAT(check.sources, SizeIs(1));
  put_elements(path(), "/bad", {2}, type.get(), bad.data());
  EXPECT_THAT(check_file(path()).problems,
              ElementsAre(HasSubstr("/bad holds NaN or infinity in 1 of 4 values, the first in sample 1.")));
}

TEST_F(Findings, CheckOfAFileNamesAProblemOnce) {
  put(path(), "/x", {4, 2}, counting<uint8_t>(8));
  put_text(path(), "/y", {4}, {"a", "", "b", "a"});
  EXPECT_THAT(check_file(path()).problems, ElementsAre(HasSubstr("/y: sample 1 has an empty text")));
}

TEST_F(Findings, CheckOfAFileTellsValuesFromProbabilitiesAndSeriesFromSamples) {
  put(path(), "/many/x", {4, 2}, counting<uint8_t>(8));
  put(path(), "/many/y", {4, 2}, counting<float>(8));
  put(path(), "/series/x", {4}, std::vector<float>{0, 1, 0, 1});
  put(path(), "/series/y", {4}, std::vector<int64_t>{0, 1, 0, 1});
  const FileCheck check = check_file(path());
  EXPECT_THAT(check.problems, IsEmpty());
  ASSERT_THAT(check.sources, SizeIs(2));
  EXPECT_THAT(check.sources[0].findings, IsEmpty());
  EXPECT_EQ(check.sources[0].task, "regression, 2 values, mean squared error");
  ASSERT_THAT(check.sources[1].findings, SizeIs(1));
  EXPECT_THAT(check.sources[1].findings[0].text,
              HasSubstr("/series/x is a single number, and a network needs at least a vector"));
}

}  // namespace
}  // namespace lockstep
