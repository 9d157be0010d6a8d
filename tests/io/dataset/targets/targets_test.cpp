#include "io/dataset/targets/targets.h"

#include <cmath>
#include <limits>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

LabelCounts counts_of(const std::vector<double>& values, int64_t repeated = 1) {
  LabelCounts counts;
  for (int64_t i = 0; i < repeated; ++i)
    for (const double value : values) counts.add(value);
  return counts;
}

TEST(LabelCounts, CountsWholeNumbersAndKnowsOthers) {
  const LabelCounts counts = counts_of({0, 2, 2, 5});
  EXPECT_THAT(counts.counts(), ElementsAre(1, 0, 2, 0, 0, 1));
  EXPECT_EQ(counts.distinct(), 3);
  EXPECT_TRUE(counts.labels_up_to(5));
  EXPECT_FALSE(counts.labels_up_to(4));
  for (const double odd :
       {0.5, -1.0, std::numeric_limits<double>::quiet_NaN(), 1e300, std::numeric_limits<double>::infinity()})
    EXPECT_FALSE(counts_of({0, 1, odd}).labels_up_to(9999)) << odd;
  EXPECT_TRUE(counts_of({0, 1e300}).whole());
  EXPECT_FALSE(LabelCounts().labels_up_to(9));
}

TEST(KindOfNumbers, FewWholeFloatsAreClassesAndTheTaskOverrides) {
  const auto kind = [](const LabelCounts& counts, bool integers = false,
                       TargetTask task = TargetTask::automatic) {
    return kind_of_numbers(counts, integers, task);
  };
  const LabelCounts few = counts_of({0, 1, 2, 3}, 16);
  EXPECT_EQ(kind(few), TargetKind::classes);
  EXPECT_EQ(kind(counts_of({3, 7, 1000}, 5)), TargetKind::classes);
  EXPECT_EQ(kind(counts_of({-1, 1}, 50)), TargetKind::values);
  EXPECT_EQ(kind(counts_of({0, 0.5, 1}, 50)), TargetKind::values);
  EXPECT_EQ(kind(counts_of({1}, 50)), TargetKind::values) << "a constant";
  EXPECT_EQ(kind(counts_of({0, 1, 2, 3})), TargetKind::values) << "one sample of each";
  EXPECT_EQ(kind(counts_of({1, 20000}, 50)), TargetKind::values);
  EXPECT_EQ(kind(counts_of(counting<double>(101), 50)), TargetKind::values);
  EXPECT_EQ(kind(counts_of({-1, 1}), true), TargetKind::classes) << "integers";
  EXPECT_EQ(kind(few, true, TargetTask::values), TargetKind::values);
  EXPECT_EQ(kind(counts_of({0.5}), false, TargetTask::classes), TargetKind::classes);
}

TEST(Task, IsOneLineOfWords) {
  EXPECT_EQ(task_in_words(TargetKind::classes, 4), "classification, 4 classes, cross-entropy");
  EXPECT_EQ(task_in_words(TargetKind::values, 3), "regression, 3 values, mean squared error");
  EXPECT_EQ(task_in_words(TargetKind::values, 1), "regression, 1 value, mean squared error");
  EXPECT_EQ(task_in_words(TargetKind::probabilities, 2),
            "classification, probabilities of 2 classes, cross-entropy");
}

class TargetsOfFile : public testing::Test {
 protected:
  template <typename T>
  Targets open(const std::vector<T>& labels, const DatasetOptions& options = {}) {
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    put(path, "/y", {static_cast<int64_t>(labels.size())}, labels);
    return Targets(std::make_unique<Column>(std::vector{path}, "/y"), options);
  }
  template <typename T>
  std::string error(const std::vector<T>& labels, const DatasetOptions& options = {}) {
    return error_of([&] { open(labels, options); });
  }

  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(TargetsOfFile, FloatLabelsAsMatlabWritesThemAreClasses) {
  std::vector<double> labels = counting<double>(64, 4);
  const Targets classes = open(labels);
  EXPECT_EQ(classes.kind(), TargetKind::classes);
  EXPECT_EQ(classes.classes(), 4);
  EXPECT_THAT(classes.counts().counts(), ElementsAre(16, 16, 16, 16));
  EXPECT_EQ(open(labels, {.task = TargetTask::values}).kind(), TargetKind::values);
  labels[40] = 0.25;
  EXPECT_EQ(open(labels).kind(), TargetKind::values);
  EXPECT_THAT(error(labels, {.task = TargetTask::classes}),
              AllOf(HasSubstr("sample 40 has the label 0.25"), HasSubstr("data.task = \"values\"")));
}

TEST_F(TargetsOfFile, ClassesMayBeDeclared) {
  EXPECT_EQ(open(std::vector<float>{0, 1}, {.classes = 2}).kind(), TargetKind::classes);
  const std::vector<int64_t> labels = {0, 1, 2, 0};
  EXPECT_EQ(open(labels, {.classes = 5}).classes(), 5);
  EXPECT_THAT(error(labels, {.classes = 2}),
              AllOf(HasSubstr("sample 2 has the label 2; labels must be 0 to 1 (2 classes)"),
                    HasSubstr("train with data.classes = 3.")));
}

TEST_F(TargetsOfFile, ALabelOutOfRangeIsNamedWithItsRowAndTheBounds) {
  EXPECT_THAT(
      error(std::vector<int64_t>{1, -1}),
      AllOf(HasSubstr("sample 1 has the label -1; labels must be 0 to 1048575."),
            HasSubstr("Number the classes from 0 on. For numbers to predict set data.task = \"values\".")));
  EXPECT_THAT(error(std::vector<int64_t>{1, 0, 2147483646}),
              HasSubstr("sample 2 has the label 2147483646; labels must be 0 to 1048575."));
  const std::string name = "/wide";
  put(folder_ / "a.h5", "/other", {1}, std::vector<int64_t>{0});
  {
    const hdf5::File file = hdf5::File::open_for_writing(folder_ / "a.h5");
    const hsize_t extent = 2;
    const hdf5::Id space(H5Screate_simple(1, &extent, nullptr));
    const hdf5::Id id(H5Dcreate2(file.id(), name.c_str(), H5T_STD_U64LE, space.get(), H5P_DEFAULT,
                                 H5P_DEFAULT, H5P_DEFAULT));
    const uint64_t values[] = {1, std::numeric_limits<uint64_t>::max()};
    H5Dwrite(id.get(), H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
  }
  EXPECT_THAT(error_of([&] {
                Targets(std::make_unique<Column>(std::vector<std::string>{folder_ / "a.h5"}, name), {});
              }),
              HasSubstr("sample 1 has the label 9223372036854775807 or more; labels"));
}

/// Targets of several numbers a sample, which belong to samples of this shape.
class TargetsOfRows : public testing::Test {
 protected:
  template <typename T>
  std::unique_ptr<Dataset> open(const Shape& sample, const Shape& row, const std::vector<T>& targets,
                                DatasetOptions options = {}) {
    const int64_t rows = static_cast<int64_t>(targets.size()) / row.elements();
    const std::string path = folder_ / (std::to_string(++count_) + ".h5");
    put(path, "/x", sample.batched(rows), std::vector<float>(static_cast<size_t>(rows * sample.elements())));
    put(path, "/y", row.batched(rows), targets);
    options.probe = false;
    return open_dataset({{path}, "/x", "/y"}, options);
  }
  template <typename T>
  std::string error(const Shape& sample, const Shape& row, const std::vector<T>& targets,
                    const DatasetOptions& options = {}) {
    return error_of([&] { open(sample, row, targets, options); });
  }

  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(TargetsOfRows, AreWhatTheyLookLike) {
  const std::vector<uint8_t> one_hot = {0, 1, 0, 1, 0, 0}, labels = {0, 1, 1, 0, 0, 0};
  const std::vector<int64_t> tags = {2, 0, 1, 1, 0, 2};
  const std::vector<float> numbers = {0.5f, -1, 3, 2, 0, 1};
  EXPECT_EQ(open({5}, {3}, one_hot)->target_kind(), TargetKind::probabilities);
  EXPECT_EQ(open({5}, {3}, labels)->target_kind(), TargetKind::labels);
  EXPECT_EQ(open({5}, {3}, numbers)->target_kind(), TargetKind::values);
  const auto positions = open({3, 5}, {3}, tags);
  EXPECT_EQ(positions->target_kind(), TargetKind::classes);
  EXPECT_EQ(positions->y_shape(), Shape{3});
  EXPECT_EQ(positions->classes(), 3);
  EXPECT_THAT(error({5}, {3}, tags), HasSubstr("has 3 integers per sample, which are neither one-hot"));
  EXPECT_EQ(open({5}, {3}, tags, {.task = TargetTask::classes})->target_kind(), TargetKind::classes);
  EXPECT_EQ(open({5}, {3}, tags, {.task = TargetTask::values})->target_kind(), TargetKind::values);
  EXPECT_EQ(open({5}, {3}, one_hot, {.task = TargetTask::labels})->target_kind(), TargetKind::labels);
  EXPECT_THAT(error({5}, {3}, tags, {.task = TargetTask::labels}),
              HasSubstr("sample 0 has the label 2 at place 0; labels are 0 or 1."));
}

TEST_F(TargetsOfRows, MasksOfAnyTypeAreAClassAtEachPosition) {
  const std::vector<int32_t> classes = {0, 1, 2, 1, 0, 0, 2, 2};
  const auto check = [&](const std::unique_ptr<Dataset>& data) {
    EXPECT_EQ(data->target_kind(), TargetKind::classes);
    EXPECT_EQ(data->y_shape(), (Shape{2, 2}));
    EXPECT_EQ(data->classes(), 3);
    EXPECT_THAT(data->class_targets(), ElementsAre(3, 2, 3));
    EXPECT_EQ(all_y<int32_t>(*data), classes);
  };
  const std::vector<uint8_t> bytes(classes.begin(), classes.end());
  check(open({2, 2, 1}, {2, 2}, bytes));
  check(open({2, 2, 1}, {2, 2}, bytes, {.memory_budget = 1}));
  check(open({2, 2, 1}, {2, 2}, std::vector<int64_t>(classes.begin(), classes.end())));
  check(open({2, 2, 1}, {2, 2}, std::vector<float>(classes.begin(), classes.end())));
  EXPECT_EQ(open({2, 2, 1}, {2, 2}, std::vector<float>{0, 0.5f, 1, 2})->target_kind(), TargetKind::values);
}

TEST_F(TargetsOfRows, AnIgnoredLabelIsOfNoClass) {
  const std::vector<uint8_t> mask = {0, 255, 1, 255};
  const auto data = open({2, 2, 1}, {2, 2}, mask, {.ignored_label = 255});
  EXPECT_EQ(data->classes(), 2);
  EXPECT_THAT(data->class_targets(), ElementsAre(1, 1));
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(0, 255, 1, 255));
  EXPECT_EQ(open({2, 2, 1}, {2, 2}, mask)->classes(), 256);
  EXPECT_EQ(open({4}, {}, std::vector<int32_t>{0, -1, 1}, {.ignored_label = -1})->classes(), 2);
  EXPECT_THAT(error({2, 2, 1}, {2, 2}, std::vector<int32_t>{0, 1, 1, -1}),
              HasSubstr("sample 0 has the label -1; labels must be 0 to 1048575."));
  EXPECT_THAT(error({2, 2, 1}, {2, 2}, mask, {.classes = 2}),
              HasSubstr("sample 0 has the label 255; labels must be 0 to 1 (2 classes)"));
}

TEST_F(TargetsOfRows, AMistakeAmongProbabilitiesIsNamedRatherThanTakenForNumbers) {
  std::vector<float> targets(40, 0.5f);
  targets[31] = 0.25f;
  EXPECT_THAT(error({5}, {2}, targets),
              AllOf(HasSubstr("sample 15: its 2 targets sum to 0.75"), HasSubstr("data.task = \"labels\"")));
}

TEST(Dataset, SparseMatricesAreNamed) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/labels", {5}, counting<uint8_t>(5, 2));
  put(path, "/sparse/data", {9}, counting<float>(9));
  const auto error = [&](const std::string& x, const std::string& y) {
    return error_of([&] { open_dataset({{path}, x, y}, {}); });
  };
  EXPECT_THAT(error("/sparse/data", "/labels"), HasSubstr("name its group: x = \"/sparse\""));
}

TEST(Dataset, ClassesMayBeText) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hdf5-trials/strings.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  for (const std::string name : {"/train/y", "/train/names"})
    EXPECT_GE(open_dataset({{path}, "/train/x", name}, {.task = TargetTask::classes})->class_names().size(),
              3u);
}

TEST(Split, SaysWhichFractionsWouldDo) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {4, 1}, counting<float>(4));
  const auto error = [&](double fraction) {
    return error_of(
        [&] {
          split_dataset(open_dataset({{folder / "a.h5"}, "/x", ""}, {}), fraction, 1);
        },
        ExitCode::usage);
  };
  EXPECT_EQ(
      error(0.1),
      "data.validation_split = 0.1 of 4 samples holds out 0 for validation; both parts need at least one. "
      "With 4 samples it may be 0.25 to 0.75.");
  EXPECT_EQ(split_dataset(open_dataset({{folder / "a.h5"}, "/x", ""}, {}), 0.25, 1).validation->size(), 1);
  EXPECT_EQ(split_dataset(open_dataset({{folder / "a.h5"}, "/x", ""}, {}), 0.75, 1).train->size(), 1);
}

TEST(Split, KnowsWhereItsSamplesAreStored) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {50, 1}, counting<float>(50));
  const Split split = split_dataset(open_dataset({{folder / "a.h5"}, "/x", ""}, {}), 0.2, 7);
  for (const Dataset* part : {split.train.get(), split.validation.get()}) {
    const std::vector<float> x = all_x<float>(*part);
    for (int64_t i = 0; i < part->size(); ++i)
      EXPECT_EQ(static_cast<float>(part->stored_row(i)), x[static_cast<size_t>(i)]);
  }
}

}  // namespace
}  // namespace lockstep
