#include "io/dataset/layouts/unpacked_rows.h"

#include "tests/io/text_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Sets an attribute of /x with one number of a type.
template <typename T>
void put_number(const std::string& path, const char* name, T value, hid_t type) {
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open_for_writing(path);
  const hsize_t one = 1;  // as netCDF does
  const hdf5::Id space(H5Screate_simple(1, &one, nullptr));
  const hdf5::Id attribute(
      H5Acreate_by_name(file.id(), "/x", name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  ASSERT_GE(H5Awrite(attribute.get(), type, &value), 0);
}

std::unique_ptr<Dataset> open_packed(const std::string& path, DatasetOptions options = {}) {
  options.probe = false;
  return open_dataset({{path}, "/x", ""}, options);
}

class UnpackedNumbers : public testing::Test {
 protected:
  template <typename T>
  std::string file(const std::vector<T>& values, hid_t type, const hdf5::Storage& storage = {}) {
    std::string path = folder_ / (std::to_string(++count_) + ".h5");
    put_elements(path, "/x", {static_cast<int64_t>(values.size()) / 2, 2}, type, values.data(), storage);
    return path;
  }
  TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(UnpackedNumbers, AreScaledAndShifted) {
  for (const hdf5::Storage& storage : {hdf5::Storage{}, hdf5::Storage{.chunk = {1, 2}, .deflate = 1}}) {
    const std::string path = file<int16_t>({-2, 0, 1, 30000}, H5T_NATIVE_INT16, storage);
    put_number(path, "scale_factor", 0.5f, H5T_NATIVE_FLOAT);
    put_number(path, "add_offset", 10.0, H5T_NATIVE_DOUBLE);
    for (const int64_t budget : {1 << 20, 1}) {
      const auto data = open_packed(path, {.memory_budget = budget});
      EXPECT_EQ(data->x_dtype(), DType::f32);
      EXPECT_EQ(data->in_memory(), budget > 1);
      EXPECT_THAT(all_x<float>(*data), ElementsAre(9, 10, 10.5, 15010));
    }
  }
  const std::string wide = file<double>({1, 2}, H5T_NATIVE_DOUBLE);
  put_number(wide, "add_offset", 0.25, H5T_NATIVE_DOUBLE);
  EXPECT_THAT(all_x<double>(*open_packed(wide)), ElementsAre(1.25, 2.25));
}

TEST_F(UnpackedNumbers, MayBeUnsigned) {
  const std::string path = file<int8_t>({-1, 0, 1, -128}, H5T_NATIVE_INT8);
  hdf5::File::open_for_writing(path).set_attribute("/x", "_Unsigned", std::string("true"));
  EXPECT_THAT(all_x<float>(*open_packed(path)), ElementsAre(255, 0, 1, 128));
  put_number<int8_t>(path, "_FillValue", -1, H5T_NATIVE_INT8);
  put_number(path, "scale_factor", 2.0, H5T_NATIVE_DOUBLE);
  EXPECT_THAT(all_x<float>(*open_packed(path, {.missing = -7})), ElementsAre(-7, 0, 2, 256));
}

TEST_F(UnpackedNumbers, ThatAreMissingAreErrorsOrANumber) {
  const std::string path = file<int16_t>({1, 2, -999, 4}, H5T_NATIVE_INT16);
  put_number<int16_t>(path, "_FillValue", -999, H5T_NATIVE_INT16);
  put_number(path, "scale_factor", 0.1, H5T_NATIVE_DOUBLE);
  EXPECT_THAT(error_of([&] { open_packed(path); }),
              AllOf(HasSubstr(":/x: sample 1 holds NaN"), HasSubstr("data.missing")));
  const std::vector<float> x = all_x<float>(*open_packed(path, {.missing = 0}));
  EXPECT_THAT(x, ElementsAre(testing::FloatEq(0.1f), testing::FloatEq(0.2f), 0, testing::FloatEq(0.4f)));
}

TEST_F(UnpackedNumbers, IncludeNaNThatMeansMissing) {
  const std::string path = file<float>({1, NAN, 3, 4}, H5T_NATIVE_FLOAT);
  EXPECT_THAT(error_of([&] { open_packed(path); }), HasSubstr("sample 0 holds NaN"));
  for (const int64_t budget : {1 << 20, 1})
    EXPECT_THAT(all_x<float>(*open_packed(path, {.memory_budget = budget, .missing = -1})),
                ElementsAre(1, -1, 3, 4));
}

TEST_F(UnpackedNumbers, WithoutAttributesKeepTheirFastRoute) {
  const std::string path = file<float>({1, 2, 3, 4}, H5T_NATIVE_FLOAT);
  EXPECT_EQ(open_packed(path, {.memory_budget = 1})->route(), "contiguous");
  hdf5::File::open_for_writing(path).set_attribute("/x", "units", std::string("K"));
  EXPECT_EQ(open_packed(path, {.memory_budget = 1})->route(), "contiguous");
}

TEST_F(UnpackedNumbers, NeedNumbersAsAttributes) {
  const std::string path = file<float>({1, 2}, H5T_NATIVE_FLOAT);
  hdf5::File::open_for_writing(path).set_attribute("/x", "scale_factor", std::string("2"));
  EXPECT_THAT(error_of([&] { open_packed(path); }),
              HasSubstr(":/x: its attribute scale_factor is not a number."));
}

TEST_F(UnpackedNumbers, OfTargetsKeepAFillValueThatMayBeALabel) {
  const std::string path = file<int16_t>({1, 2, 3, 4}, H5T_NATIVE_INT16);
  put_elements(path, "/y", {2}, H5T_NATIVE_INT32, std::vector<int32_t>{0, 255}.data());
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::open_for_writing(path);
    const hdf5::Id space(H5Screate(H5S_SCALAR));
    const hdf5::Id attribute(H5Acreate_by_name(file.id(), "/y", "_FillValue", H5T_NATIVE_INT32, space.get(),
                                               H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    const int32_t fill = 255;
    H5Awrite(attribute.get(), H5T_NATIVE_INT32, &fill);
  }
  const auto data = open_dataset({{path}, "/x", "/y"}, {.ignored_label = 255, .probe = false});
  EXPECT_THAT(all_y<int32_t>(*data), ElementsAre(0, 255));
}

}  // namespace
}  // namespace lockstep
