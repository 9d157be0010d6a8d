#include "io/probe/check_source.h"

#include "io/probe/find_sources.h"
#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// `data check` of whole files understands what `train` does.
class CheckSource : public testing::Test {
 protected:
  std::string path() const { return folder_ / "a.h5"; }
  void attribute(const std::string& object, const std::string& name,
                 const std::vector<int64_t>& values) const {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::open_for_writing(path());
    const auto extent = static_cast<hsize_t>(values.size());
    const hdf5::Id space(H5Screate_simple(1, &extent, nullptr));
    const hdf5::Id id(H5Acreate_by_name(file.id(), object.c_str(), name.c_str(), H5T_STD_I64LE, space.get(),
                                        H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    ASSERT_GE(H5Awrite(id.get(), H5T_NATIVE_INT64, values.data()), 0);
  }
  /// A sparse matrix (4, 5) with names of classes, as AnnData stores them.
  void put_cells(int32_t column = 2) const {
    put(path(), "/X/data", {6}, std::vector<float>{1, 2, 3, 4, 5, 6});
    put(path(), "/X/indices", {6}, std::vector<int32_t>{4, 0, column, 1, 3, 0});
    put(path(), "/X/indptr", {5}, std::vector<int64_t>{0, 2, 2, 5, 6});
    attribute("/X", "shape", {4, 5});
    put(path(), "/obs/kind/codes", {4}, std::vector<uint8_t>{0, 1, 1, 1});
    put_text(path(), "/obs/kind/categories", {2}, {"B", "T"});
  }
  static const DatasetCheck& of(const FileCheck& check, const std::string& name) {
    const auto found = std::ranges::find(
        check.datasets, name, [](const DatasetCheck& dataset) { return dataset.description.name; });
    EXPECT_NE(found, check.datasets.end()) << name;
    return found == check.datasets.end() ? check.datasets.at(0) : *found;
  }

  TemporaryFolder folder_;
};

TEST_F(CheckSource, SparseMatricesWithNamesOfClasses) {
  put_cells();
  const FileCheck check = check_file(path());
  EXPECT_THAT(check.problems, IsEmpty());
  EXPECT_THAT(of(check, "/X").description.shape, ElementsAre(4, 5));
  EXPECT_EQ(of(check, "/X").max, 6);
  ASSERT_THAT(check.sources, SizeIs(1));
  EXPECT_EQ(check.sources[0].source, "x = /X, y = /obs/kind");
  EXPECT_EQ(check.sources[0].task, "classification, 2 classes, cross-entropy");
  EXPECT_THAT(check.sources[0].class_names, ElementsAre("B", "T"));
  EXPECT_THAT(check.sources[0].class_targets, ElementsAre(1, 3));
}

TEST_F(CheckSource, AColumnThatASparseMatrixDoesNotHave) {
  put_cells(7);
  EXPECT_THAT(check_file(path()).problems,
              ElementsAre(HasSubstr("/X: sample 2 has a value in column 7, and the matrix has 5 columns.")));
}

TEST_F(CheckSource, PackedNumbers) {
  put(path(), "/train/x", {3, 2}, std::vector<int32_t>{0, 10, -999, 20, 30, 40});
  put(path(), "/train/y", {3}, std::vector<int32_t>{0, 1, 0});
  {
    hdf5::File file = hdf5::File::open_for_writing(path());
    file.set_attribute("/train/x", "scale_factor", 0.5);
  }
  EXPECT_THAT(check_file(path()).problems, IsEmpty());
  EXPECT_EQ(of(check_file(path()), "/train/x").max, 20);
  {
    hdf5::File file = hdf5::File::open_for_writing(path());
    file.set_attribute("/train/x", "_FillValue", int64_t{-999});
  }
  const FileCheck check = check_file(path());
  EXPECT_EQ(of(check, "/train/x").min, 0);
  EXPECT_EQ(of(check, "/train/x").not_finite, 1);
  EXPECT_THAT(check.problems,
              ElementsAre(AllOf(HasSubstr("missing values in 1 of 6 values, the first in sample 1."),
                                HasSubstr("data.missing = NUMBER"))));
}

TEST_F(CheckSource, ADataSetForEachSample) {
  for (int i = 0; i < 4; ++i) {
    put(path(), fmt::format("/data/{}/obs", i), {2, 3}, counting<float>(6));
    put(path(), fmt::format("/data/{}/label", i), {1}, std::vector<int64_t>{i % 2});
  }
  const FileCheck check = check_file(path());
  EXPECT_THAT(check.problems, IsEmpty());
  ASSERT_THAT(check.sources, SizeIs(1));
  EXPECT_EQ(check.sources[0].source, "x = /data/*/obs, y = /data/*/label");
  EXPECT_EQ(check.sources[0].task, "classification, 2 classes, cross-entropy");
  EXPECT_THAT(check.sources[0].class_targets, ElementsAre(2, 2));
}

TEST_F(CheckSource, LabelsFromOneAndSamplesOnTheLastAxis) {
  put(path(), "/X", {2, 3, 6}, counting<float>(36));
  put(path(), "/labels", {1, 6}, std::vector<double>{1, 2, 3, 3, 2, 2});
  const FileCheck check = check_file(path());
  EXPECT_THAT(check.problems, IsEmpty());
  ASSERT_THAT(check.sources, SizeIs(1));
  EXPECT_EQ(check.sources[0].first_label, 1);
  EXPECT_THAT(check.sources[0].class_targets, ElementsAre(1, 3, 2));
  EXPECT_THAT(check.sources[0].notes, Contains(HasSubstr("/X (2, 3, 6) has its samples on the last axis")));
}

TEST_F(CheckSource, WhatIsOnlyGuessedIsNoProblem) {
  put(path(), "/images", {4, 2, 2}, counting<float>(16));
  put(path(), "/labels", {4}, std::vector<int64_t>{-1, 0, 1, 2});
  const FileCheck check = check_file(path());
  EXPECT_THAT(check.problems, IsEmpty());
  ASSERT_THAT(check.sources, SizeIs(1));
  EXPECT_THAT(check.sources[0].findings,
              ElementsAre(Field(&Finding::text, HasSubstr("/labels: sample 0 has the label -1"))));
  // Named by the user, with the key that train would need.
  const auto data = open_dataset({{path()}, "/images", "/labels"}, {.memory_budget = 1, .ignored_label = -1});
  int64_t last = 0;
  read_all_samples(*data, [&](int64_t done, int64_t all) {
    last = done;
    EXPECT_EQ(all, 64);
  });
  EXPECT_EQ(last, 64);
  EXPECT_THAT(check_source(*data, "it", {}).class_targets, ElementsAre(1, 1, 1));
}

TEST_F(CheckSource, ReadsWhatTrainWouldReject) {
  put(path(), "/images", {4, 2}, std::vector<float>{0, 1, 2, 3, 4, NAN, 6, 7});
  put(path(), "/labels", {4}, std::vector<int64_t>{0, 0, 1, 2});
  const auto data = open_dataset({{path()}, "/images", "/labels"}, {.memory_budget = 1});
  EXPECT_THAT(error_of([&] { read_all_samples(*data); }), HasSubstr("/images: sample 2 holds NaN"));
}

DatasetDescription described(const std::string& name, const std::vector<int64_t>& shape,
                             const std::string& type = "float32") {
  DatasetDescription dataset;
  dataset.name = name;
  dataset.shape = shape;
  dataset.type = type;
  dataset.usable = true;
  return dataset;
}

std::vector<std::string> found(const std::vector<DatasetDescription>& datasets) {
  std::vector<std::string> lines;
  for (const FoundSource& source : find_sources(datasets))
    lines.push_back(fmt::format("{} {} {}", source.group, source.x, source.y));
  return lines;
}

TEST(FindSources, NamesWhatBelongsTogether) {
  EXPECT_THAT(found({described("/x", {9, 2}), described("/y", {9})}), ElementsAre("/ /x /y"));
  EXPECT_THAT(found({described("/a/x", {9, 2}), described("/labels", {9})}), ElementsAre(" /a/x /labels"));
  EXPECT_THAT(found({described("/test/images", {5, 4}), described("/test/labels", {5}),
                     described("/train/images", {5, 4}), described("/train/labels", {5})}),
              ElementsAre(" /test/images /test/labels", " /train/images /train/labels"));
  // The largest samples are meant, not what else there is of each.
  EXPECT_THAT(found({described("/id", {7}), described("/pixels", {7, 99}), described("/positions", {7, 3}),
                     described("/species", {7}, "string")}),
              ElementsAre(" /pixels /species"));
}

TEST(FindSources, ColumnsAreNoSamples) {
  EXPECT_THAT(found({described("/energy", {50}), described("/phi", {50}), described("/theta", {50})}),
              IsEmpty());
  EXPECT_THAT(found({described("/run1/images", {50, 8}), described("/run1/labels", {50}),
                     described("/run2/images", {60, 8}), described("/run2/labels", {60}),
                     described("/run3/images", {50, 8}), described("/run3/labels", {50})}),
              SizeIs(3));
}

}  // namespace
}  // namespace lockstep
