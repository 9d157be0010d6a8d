#include "io/probe/inspect.h"

#include <chrono>
#include <cmath>
#include <filesystem>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// A file of the trials, or "" where they are absent.
std::string trial(const std::string& name) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hdf5-trials/" + name;
  return std::filesystem::exists(path) ? path : "";
}

TEST(Inspect, ReportsHowMuchOfAFileHasBeenRead) {
  const TemporaryFolder folder;
  constexpr int64_t kBytes = int64_t{64} << 20;
  {
    const hdf5::Lock lock;
    hdf5::File file = hdf5::File::create(folder / "a.h5");
    file.create_dataset("/a", DType::u8, {kBytes / 1024, 1024}, {.allocate = true});
    file.create_dataset("/b", DType::f64, {1024}, {.allocate = true});
  }
  int64_t calls = 0, last = 0;
  const auto start = std::chrono::steady_clock::now();
  check_file(folder / "a.h5", 60, [&](int64_t done, int64_t all) {
    EXPECT_EQ(all, kBytes + 8192);
    EXPECT_GE(done, last);
    EXPECT_LE(done, all);
    last = done;
    ++calls;
  });
  // A child reports every 0.2 s.
  if (std::chrono::steady_clock::now() - start > std::chrono::seconds(1)) {
    EXPECT_GT(calls, 0);
  }
}

TEST(Inspect, ReadsTheColumnsOfTables) {
  struct Event {
    double energy;
    int32_t hits[2];
    float charge;
  };
  const TemporaryFolder folder;
  {
    const hdf5::Lock lock;
    const hdf5::Id type(H5Tcreate(H5T_COMPOUND, sizeof(Event)));
    const hsize_t two = 2, three = 3;
    const hdf5::Id pair(H5Tarray_create2(H5T_NATIVE_INT32, 1, &two)),
        space(H5Screate_simple(1, &three, nullptr));
    H5Tinsert(type.get(), "energy", HOFFSET(Event, energy), H5T_NATIVE_DOUBLE);
    H5Tinsert(type.get(), "hits", HOFFSET(Event, hits), pair.get());
    H5Tinsert(type.get(), "charge", HOFFSET(Event, charge), H5T_NATIVE_FLOAT);
    const Event good[3] = {{1, {2, 3}, 4}, {5, {6, 7}, 8}, {9, {0, 1}, 2}};
    const Event bad[3] = {{1, {2, 3}, 4}, {5, {6, 7}, INFINITY}, {9, {0, 1}, NAN}};
    const hdf5::File file = hdf5::File::create(folder / "a.h5");
    for (const auto& [name, events] : {std::pair("/bad", bad), std::pair("/good", good)}) {
      const hdf5::Id id(
          H5Dcreate2(file.id(), name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
      ASSERT_GE(H5Dwrite(id.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, events), 0);
    }
  }
  const FileCheck check = check_file(folder / "a.h5");
  EXPECT_THAT(
      check.problems,
      ElementsAre(HasSubstr("/bad.charge holds NaN or infinity in 2 of 12 values, the first in sample 1.")));
}

TEST(Inspect, LooksAtAllOfManyDatasets) {
  const TemporaryFolder folder;
  {
    const hdf5::Lock lock;
    hdf5::File file = hdf5::File::create(folder / "many.h5");
    for (int i = 0; i < 1200; ++i) {
      const double value = i == 1199 ? NAN : 1;
      file.write(fmt::format("/{:04}", i), {&value, DType::f64, {1}});
    }
  }
  const FileCheck check = check_file(folder / "many.h5");
  EXPECT_THAT(check.datasets, SizeIs(1200));
  EXPECT_THAT(check.problems, ElementsAre(HasSubstr("/1199 holds NaN or infinity")));
  EXPECT_THAT(describe_file(folder / "many.h5").datasets, SizeIs(1200));
  if (const std::string path = trial("many_datasets.h5"); !path.empty()) {
    EXPECT_THAT(check_file(path).problems, ElementsAre(HasSubstr("/s1499 holds NaN or infinity in 4 of 4")));
  }
}

/// Makes a data set of strings, or of numbers behind a filter that no machine has.
void put_other(const std::string& path, const std::string& name, bool is_text) {
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open_for_writing(path);
  const hdf5::Id properties(H5Pcreate(H5P_DATASET_CREATE));
  const hdf5::Id links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  const hsize_t size = 4;
  const hdf5::Id space(H5Screate_simple(1, &size, nullptr));
  const hdf5::Id type(H5Tcopy(is_text ? H5T_C_S1 : H5T_NATIVE_INT));
  if (!is_text) {
    H5Pset_chunk(properties.get(), 1, &size);
    H5Pset_filter(properties.get(), 32013, H5Z_FLAG_OPTIONAL, 0, nullptr);
  }
  const hdf5::Id dataset(H5Dcreate2(file.id(), name.c_str(), type.get(), space.get(), links.get(),
                                    properties.get(), H5P_DEFAULT));
  ASSERT_TRUE(dataset);
}

TEST(Inspect, WhatCannotBeReadOrTrainedOnIsAProblem) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  hdf5::File::create(path);
  EXPECT_THAT(check_file(path).problems, ElementsAre(HasSubstr("a.h5 holds no data sets.")));
  put_other(path, "/names", true);
  EXPECT_THAT(check_file(path).problems,
              ElementsAre(AllOf(HasSubstr("nothing can be trained on: "), HasSubstr("/names holds text"))));
  // Text beside the data is no fault of it, unless it stands where targets are looked for and is no name of a
  // class.
  put(path, "/train/x", {4}, counting<float>(4));
  EXPECT_THAT(check_file(path).problems, IsEmpty());
  put_other(path, "/train/y", true);
  EXPECT_THAT(check_file(path).problems, ElementsAre(HasSubstr("/train/y: sample 0 has an empty text")));
  put_other(path, "/packed", false);
  EXPECT_THAT(check_file(path).problems, SizeIs(2));
  EXPECT_THAT(check_file(path).problems[0], HasSubstr("a.h5:/packed is compressed with the filter zfp"));
}

TEST(Inspect, NamesWhatLibhdf5HasToRead) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  put(path, "/a", {4}, counting<float>(4));
  put(path, "/b", {4}, counting<float>(4), {{2}, 1});
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::open_for_writing(path);
    const hdf5::Id properties(H5Pcreate(H5P_DATASET_CREATE));
    H5Pset_layout(properties.get(), H5D_COMPACT);
    const hsize_t size = 4;
    const hdf5::Id space(H5Screate_simple(1, &size, nullptr));
    ASSERT_TRUE(hdf5::Id(
        H5Dcreate2(file.id(), "c", H5T_IEEE_F32LE, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT)));
  }
  std::vector<std::string> reasons;
  for (const DatasetDescription& dataset : describe_file(path).datasets)
    reasons.push_back(dataset.by_libhdf5);
  EXPECT_THAT(reasons, ElementsAre("", "", "compact"));
}

TEST(Inspect, ADatasetThatWasNeverWrittenIsSoundAndHoldsNothing) {
  const TemporaryFolder folder;
  {
    const hdf5::Lock lock;
    hdf5::File file = hdf5::File::create(folder / "a.h5");
    file.create_dataset("/train/x", DType::u8, {1000000, 64, 64, 3});
    file.create_dataset("/chunked", DType::u8, {1000000, 64, 64, 3}, {{1, 64, 64, 3}, 4});
    file.create_dataset("/some", DType::u8, {3000}, {{1000}, 4});
    const std::vector<uint8_t> rows(10, 7);
    file.write_rows("/some", 1500, {rows.data(), DType::u8, {10}});
  }
  const FileCheck check = check_file(folder / "a.h5");
  EXPECT_THAT(check.problems, IsEmpty());
  ASSERT_THAT(check.datasets, SizeIs(3));
  EXPECT_FALSE(check.datasets[0].description.written);
  EXPECT_EQ(check.datasets[0].values, 0);
  EXPECT_TRUE(check.datasets[1].description.written);
  EXPECT_EQ(check.datasets[1].values, 3000);
  EXPECT_EQ(check.datasets[1].mean, 70. / 3000);
  EXPECT_FALSE(check.datasets[2].description.written);
  if (const std::string path = trial("never_written.h5"); !path.empty()) {
    EXPECT_THAT(check_file(path).problems, IsEmpty());
  }
}

TEST(Inspect, ReadsChunksOfAnyFormOnceEach) {
  const TemporaryFolder folder;
  const auto values = counting<float>(3000 * 700);
  const std::vector<hdf5::Storage> storages = {
      {{3000, 1}, 1}, {{1, 700}, 1}, {{2999, 699}, 1}, {{7, 13}, 0}, {}};
  for (size_t i = 0; i < storages.size(); ++i) {
    const std::string path = folder / (std::to_string(i) + ".h5");
    put(path, "/x", {3000, 700}, values, storages[i]);
    const FileCheck check = check_file(path);
    EXPECT_THAT(check.problems, IsEmpty());
    EXPECT_EQ(check.datasets[0].values, 3000 * 700);
    EXPECT_EQ(check.datasets[0].min, 0);
    EXPECT_EQ(check.datasets[0].max, 3000 * 700 - 1);
    EXPECT_DOUBLE_EQ(check.datasets[0].mean, (3000. * 700 - 1) / 2);
  }
}

TEST(Inspect, NamesTheFirstBadSampleWhereverItsChunkLies) {
  const TemporaryFolder folder;
  auto values = counting<float>(300 * 7000);
  values[250 * 7000 + 1] = NAN;
  values[20 * 7000 + 6999] = NAN;
  put(folder / "a.h5", "/x", {300, 7000}, values, {{300, 100}, 1});
  EXPECT_THAT(check_file(folder / "a.h5").problems,
              ElementsAre(HasSubstr("in 2 of 2100000 values, the first in sample 20.")));
}

TEST(Inspect, ListsTheGoodDatasetsBesideADamagedOne) {
  const std::string path = trial("one_bad_among_good.h5");
  if (path.empty()) GTEST_SKIP() << "hdf5-trials is absent";
  const FileDescription description = describe_file(path);
  EXPECT_THAT(description.datasets, testing::Not(IsEmpty()));
  EXPECT_THAT(description.problems, SizeIs(1));
}

}  // namespace
}  // namespace lockstep
