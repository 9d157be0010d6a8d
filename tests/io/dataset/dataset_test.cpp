#include "io/dataset/dataset.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(DataSource, IsReadFromText) {
  const DataSource group = parse_data_source("dir/mnist.h5:/train", "test");
  EXPECT_THAT(group.files, ElementsAre("dir/mnist.h5"));
  EXPECT_EQ(group.x, "/train/x");
  EXPECT_EQ(group.y, "/train/y");
  EXPECT_EQ(parse_data_source("a.h5", "validation").y, "/validation/y");
  EXPECT_EQ(parse_data_source("a.h5:/", "test").x, "/x");
  EXPECT_EQ(parse_data_source("a.h5:/b/c/", "test").x, "/b/c/x");
  EXPECT_THAT(error_of([] { parse_data_source(":/train", "train"); }, ExitCode::usage),
              HasSubstr("names no file"));
}

template <typename T>
void expect_x(DType stored_as, const std::vector<T>& expected) {
  const TemporaryFolder folder;
  {
    hdf5::File file = hdf5::File::create(folder / "a.h5");
    // The library converts from T to whatever the file holds.
    file.create_dataset("/x", stored_as, {3, 2});
    const hdf5::Dataset dataset = file.dataset("/x");
    const std::vector<double> values = {0, 1, 2, 3, 4, 250};
    H5Dwrite(dataset.id(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }
  const auto data = open_dataset({{folder / "a.h5"}, "/x", ""}, {});
  EXPECT_EQ(data->target_kind(), TargetKind::none);
  EXPECT_EQ(data->size(), 3);
  EXPECT_EQ(data->x_shape(), Shape{2});
  EXPECT_EQ(all_x<T>(*data), expected) << to_string(stored_as);
}

TEST(Dataset, GivesOutTheStoredTypes) {
  expect_x<uint8_t>(DType::u8, {0, 1, 2, 3, 4, 250});
  expect_x<float>(DType::f32, {0, 1, 2, 3, 4, 250});
  expect_x<double>(DType::f64, {0, 1, 2, 3, 4, 250});
  expect_x<uint16_t>(DType::f16, {0, 0x3C00, 0x4000, 0x4200, 0x4400, 0x5BD0});
  expect_x<float>(DType::bf16, {0, 1, 2, 3, 4, 250});
  expect_x<float>(DType::i32, {0, 1, 2, 3, 4, 250});
  expect_x<float>(DType::i64, {0, 1, 2, 3, 4, 250});
}

TEST(Dataset, ReadsBigEndianNarrowAndBooleanValues) {
  const TemporaryFolder folder;
  struct Case {
    hid_t stored;
    DType given;
  };
  { const hdf5::File file = hdf5::File::create(folder / "a.h5"); }
  const hid_t boolean = H5Tenum_create(H5T_STD_I8LE);
  const int8_t no = 0, yes = 1;
  H5Tenum_insert(boolean, "FALSE", &no);
  H5Tenum_insert(boolean, "TRUE", &yes);
  int number = 0;
  for (const auto& [stored, given] :
       {Case{H5T_IEEE_F32BE, DType::f32}, Case{H5T_IEEE_F64BE, DType::f64}, Case{H5T_STD_I16BE, DType::f32},
        Case{H5T_STD_I8LE, DType::f32}, Case{H5T_STD_U32BE, DType::f32}, Case{boolean, DType::f32}}) {
    const std::string name = "/x" + std::to_string(number++);
    {
      const hdf5::File file = hdf5::File::open_for_writing(folder / "a.h5");
      const hsize_t extent = 2;
      const hdf5::Id space(H5Screate_simple(1, &extent, nullptr));
      const hdf5::Id id(
          H5Dcreate2(file.id(), name.c_str(), stored, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
      if (stored == boolean) {
        const int8_t values[] = {1, 0};
        H5Dwrite(id.get(), boolean, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
      } else {
        const int32_t values[] = {1, 0};
        H5Dwrite(id.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
      }
    }
    const auto data = open_dataset({{folder / "a.h5"}, name, ""}, {});
    EXPECT_EQ(data->x_dtype(), given);
    EXPECT_EQ(data->x_shape().rank(), 0);
    if (given == DType::f64) {
      EXPECT_THAT(all_x<double>(*data), ElementsAre(1, 0)) << name;
    } else {
      EXPECT_THAT(all_x<float>(*data), ElementsAre(1, 0)) << name;
    }
  }
  H5Tclose(boolean);
}

TEST(Dataset, ClassesComeFromIntegersOfAnyTypeAndFromWholeFloats) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {4, 1}, counting<float>(4));
  put(folder / "a.h5", "/u8", {4}, std::vector<uint8_t>{0, 2, 1, 2});
  put(folder / "a.h5", "/i64", {4, 1}, std::vector<int64_t>{0, 2, 1, 2});
  put(folder / "a.h5", "/f64", {4}, std::vector<double>{0, 2, 1, 2});
  for (const char* y : {"/u8", "/i64", "/f64"}) {
    DatasetOptions options;
    options.classes = 3;
    const auto data = open_dataset({{folder / "a.h5"}, "/x", y}, options);
    EXPECT_EQ(data->target_kind(), TargetKind::classes) << y;
    EXPECT_EQ(data->classes(), 3);
    EXPECT_EQ(data->y_shape(), Shape{});
    EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(0, 2, 1, 2));
    options = {};
    options.task = TargetTask::values;
    const auto values = open_dataset({{folder / "a.h5"}, "/x", y}, options);
    EXPECT_EQ(values->target_kind(), TargetKind::values);
    EXPECT_EQ(values->y_shape(), Shape{1});
    EXPECT_THAT(all_y<float>(*values), ElementsAre(0, 2, 1, 2));
  }
  EXPECT_EQ(open_dataset({{folder / "a.h5"}, "/x", "/f64"}, {})->target_kind(), TargetKind::values);
}

TEST(Dataset, ProbabilitiesAndRegressionTargets) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {2, 1}, counting<float>(2));
  put(folder / "a.h5", "/onehot", {2, 3}, std::vector<uint8_t>{0, 1, 0, 1, 0, 0});
  put(folder / "a.h5", "/soft", {2, 2}, std::vector<double>{0.25, 0.75, 0.5, 0.5});
  put(folder / "a.h5", "/any", {2, 2}, std::vector<float>{-3, 8, 0.5, 0.5});
  const auto onehot = open_dataset({{folder / "a.h5"}, "/x", "/onehot"}, {});
  EXPECT_EQ(onehot->target_kind(), TargetKind::probabilities);
  EXPECT_EQ(onehot->classes(), 3);
  EXPECT_THAT(all_y<float>(*onehot), ElementsAre(0, 1, 0, 1, 0, 0));
  EXPECT_THAT(all_y<float>(*open_dataset({{folder / "a.h5"}, "/x", "/soft"}, {})),
              ElementsAre(0.25, 0.75, 0.5, 0.5));
  const auto any = [&](bool regression) {
    DatasetOptions options;
    options.task = regression ? TargetTask::values : TargetTask::automatic;
    return open_dataset({{folder / "a.h5"}, "/x", "/any"}, options);
  };
  EXPECT_THAT(all_y<float>(*any(true)), ElementsAre(-3, 8, 0.5, 0.5));
  EXPECT_EQ(any(true)->classes(), 0);
  EXPECT_EQ(any(false)->target_kind(), TargetKind::values) << "negative, and no sums of 1";
  DatasetOptions classes;
  classes.task = TargetTask::classes;
  EXPECT_THAT(error_of([&] {
                open_dataset({{folder / "a.h5"}, "/x", "/any"}, classes);
              }),
              AllOf(HasSubstr("/any: sample 0"), HasSubstr("a probability is not negative")));
}

TEST(Dataset, SeveralFilesAreOneAfterAnother) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {2, 2}, std::vector<uint8_t>{1, 2, 3, 4});
  put(folder / "a.h5", "/y", {2}, std::vector<uint8_t>{0, 1});
  put(folder / "b.h5", "/x", {1, 2}, std::vector<uint8_t>{5, 6});
  put(folder / "b.h5", "/y", {1}, std::vector<uint8_t>{2});
  for (const int64_t budget : {0, 1000}) {
    DatasetOptions options;
    options.memory_budget = budget;
    const auto data = open_dataset({{folder / "a.h5", folder / "b.h5"}, "/x", "/y"}, options);
    EXPECT_EQ(data->size(), 3);
    EXPECT_THAT(all_x<uint8_t>(*data), ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(0, 1, 2));
  }
  const auto open_both = [&](const std::string& other) {
    return error_of([&] { open_dataset({{folder / "a.h5", folder / other}, "/x", "/y"}, {}); });
  };
  put(folder / "shape.h5", "/x", {1, 3}, std::vector<uint8_t>{5, 6, 7});
  put(folder / "shape.h5", "/y", {1}, std::vector<uint8_t>{2});
  EXPECT_THAT(open_both("shape.h5"),
              AllOf(HasSubstr("shape.h5:/x has samples of shape (3)"), HasSubstr("a.h5 have (2)")));
  put(folder / "type.h5", "/x", {1, 2}, std::vector<float>{5, 6});
  put(folder / "type.h5", "/y", {1}, std::vector<uint8_t>{2});
  EXPECT_THAT(open_both("type.h5"),
              AllOf(HasSubstr("type.h5:/x holds float32"), HasSubstr("a.h5 holds uint8")));
  put(folder / "short.h5", "/x", {2, 2}, std::vector<uint8_t>{5, 6, 7, 8});
  put(folder / "short.h5", "/y", {1}, std::vector<uint8_t>{2});
  EXPECT_THAT(open_both("short.h5"), HasSubstr("short.h5: /x has 2 samples, but /y has 1"));
}

TEST(Dataset, FingerprintSeesTheDataAndNotTheFileName) {
  const TemporaryFolder folder;
  const auto make = [&](const std::string& name, float last, const hdf5::Storage& storage) {
    std::vector<float> x = counting<float>(100);
    x.back() = last;
    put(folder / name, "/x", {50, 2}, x, storage);
    put(folder / name, "/y", {50}, counting<uint8_t>(50, 3));
    return open_xy(folder / name)->fingerprint();
  };
  const uint64_t reference = make("a.h5", 1, {});
  EXPECT_EQ(make("b.h5", 1, {{10, 2}, 1}), reference);
  EXPECT_NE(make("c.h5", 2, {}), reference);
}

}  // namespace
}  // namespace lockstep
