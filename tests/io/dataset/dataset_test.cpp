#include "io/dataset/dataset.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

DataSource source_of(const std::string& file) { return {{file}, "/x", "/y"}; }

std::unique_ptr<Dataset> open(const std::string& file, const DatasetOptions& options = {}) {
  return open_dataset(source_of(file), options);
}

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

/// Every layout and budget must give what a plain in-memory read gives.
TEST(Dataset, StreamsWhatItWouldHoldInMemory) {
  const TemporaryFolder folder;
  const auto x = counting<float>(53 * 12);
  const auto y = counting<float>(53 * 2);
  const std::vector<hdf5::Storage> storages = {{},           {{5, 12}, 4}, {{7, 5}, 1},
                                               {{1, 12}, 0}, {{60, 1}, 3}, {{64, 16}, 0}};
  DatasetOptions options;
  options.task = TargetTask::values;
  for (size_t i = 0; i < storages.size(); ++i) {
    hdf5::Storage storage = storages[i];
    const std::string path = folder / (std::to_string(i) + ".h5");
    // A chunk may not pass the extent of a data set of fixed size.
    if (!storage.chunk.empty()) storage.chunk[0] = std::min<int64_t>(storage.chunk[0], 53);
    if (!storage.chunk.empty()) storage.chunk[1] = std::min<int64_t>(storage.chunk[1], 12);
    put(path, "/x", {53, 12}, x, storage);
    put(path, "/y", {53, 2}, y);
    for (const int64_t budget : {int64_t{0}, int64_t{100}, int64_t{700}, int64_t{1} << 20}) {
      options.memory_budget = budget;
      const auto data = open(path, options);
      EXPECT_EQ(all_x<float>(*data), x) << "storage " << i << " budget " << budget;
      EXPECT_EQ(all_y<float>(*data), y);
      EXPECT_THAT(data->describe(), HasSubstr(budget == 1 << 20 ? "in memory" : "streamed"));
      // Any order, with repetitions.
      const std::vector<int64_t> indices = {52, 0, 51, 7, 7, 8, 0, 30, 29, 31};
      std::vector<float> rows(indices.size() * 12);
      data->read(indices, reinterpret_cast<std::byte*>(rows.data()), nullptr);
      for (size_t k = 0; k < indices.size(); ++k)
        for (size_t j = 0; j < 12; ++j)
          ASSERT_EQ(rows[k * 12 + j], static_cast<float>(indices[k] * 12) + static_cast<float>(j));
    }
  }
}

TEST(Dataset, SaysThatStreamingIsSlowByWhatASampleDecompresses) {
  const TemporaryFolder folder;
  const auto describe = [&](const Shape& shape, const hdf5::Storage& storage, int64_t budget) {
    const std::string path = folder / "x.h5";
    std::filesystem::remove(path);
    put(path, "/x", shape, std::vector<uint8_t>(static_cast<size_t>(shape.elements())), storage);
    DatasetOptions options;
    options.memory_budget = budget;
    return open_dataset({{path}, "/x", ""}, options)->describe();
  };
  // One of two chunks is always at hand, though each is slightly larger than the budget.
  EXPECT_THAT(describe({4096, 256}, {{2048, 256}, 1}, 500 << 10), testing::Not(HasSubstr("slowly")));
  // One of 32 is not, and half of them are no help either.
  EXPECT_THAT(describe({16384, 256}, {{512, 256}, 1}, 100 << 10),
              HasSubstr("slowly: reading a sample of 0.2 KiB decompresses about 0.1 MiB (raise "
                        "data.memory_budget to 4 MiB to hold the whole data set"));
  EXPECT_THAT(describe({65536, 256}, {{2048, 256}, 1}, 8 << 20), HasSubstr("slowly"));
  // Each chunk holds a few values of every sample.
  EXPECT_THAT(describe({16384, 256}, {{16384, 1}, 1}, 500 << 10), HasSubstr("slowly"));
  EXPECT_THAT(describe({16384, 256}, {{1, 256}, 1}, 100 << 10), testing::Not(HasSubstr("slowly")));
  EXPECT_THAT(describe({16384, 256}, {{512, 256}, 0}, 100 << 10), testing::Not(HasSubstr("slowly")));
}

TEST(Dataset, StreamsFromSeveralThreads) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {400, 3}, counting<int32_t>(1200), {{16, 3}, 2});
  DatasetOptions options;
  options.memory_budget = 500;
  const auto data = open_dataset({{folder / "a.h5"}, "/x", ""}, options);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 100; ++i) {
        const int64_t indices[] = {(i * 37 + t * 11) % 400, (i * 91 + t) % 400};
        float rows[6];
        data->read(indices, reinterpret_cast<std::byte*>(rows), nullptr);
        if (rows[1] != static_cast<float>(indices[0] * 3 + 1) ||
            rows[5] != static_cast<float>(indices[1] * 3 + 2))
          ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
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

TEST(Dataset, SaysWhatIsWrongWithTheData) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& x, const std::string& y, const DatasetOptions& options = {}) {
    return error_of([&] { open_dataset({{folder / "a.h5"}, x, y}, options); });
  };
  const std::string path = folder / "a.h5";
  put(path, "/x", {3, 2}, counting<float>(6));
  put(path, "/y", {3}, std::vector<int64_t>{0, 9, 1});
  put(path, "/nan", {3, 2}, std::vector<float>{0, 1, 2, 3, 4, NAN});
  put(path, "/inf", {3, 2}, std::vector<double>{0, 1, -INFINITY, 3, 4, 5});
  put(path, "/half", {3, 2}, std::vector<float>{0, 1, 2, 3, 4, 5});
  put(path, "/negative", {3}, std::vector<int64_t>{0, -1, 1});
  put(path, "/huge", {3}, std::vector<int64_t>{0, 1, (int64_t{1} << 32) + 1});
  put(path, "/parts", {3}, std::vector<float>{0, 1.5, 1});
  put(path, "/nanlabel", {3}, std::vector<float>{0, NAN, 1});
  put(path, "/scalar", {}, std::vector<float>{1});
  put(path, "/none", {0, 2}, std::vector<float>{});
  put(path, "/void", {3, 0}, std::vector<float>{});
  put(path, "/sums", {3, 2}, std::vector<float>{0, 1, 1, 1, 1, 0});
  put(path, "/long", {4}, std::vector<int64_t>{0, 1, 2, 3});
  EXPECT_THAT(error("/z", "/y"),
              AllOf(HasSubstr("a.h5 has no data set /z. It has: "), HasSubstr("/x (3, 2)")));
  EXPECT_THAT(error("/x", "/long"), AllOf(HasSubstr("/x has 3 samples"), HasSubstr("/long has 4")));
  EXPECT_THAT(error("/nan", "/y"),
              HasSubstr("a.h5:/nan: sample 2 holds NaN or infinity (value 1 of the sample)"));
  EXPECT_THAT(error("/inf", "/y"),
              HasSubstr("a.h5:/inf: sample 1 holds NaN or infinity (value 0 of the sample)"));
  EXPECT_THAT(error("/x", "/negative"),
              HasSubstr("a.h5:/negative: sample 1 has the label -1; labels must be 0 to 1048575"));
  EXPECT_THAT(error("/x", "/huge"), HasSubstr("sample 2 has the label 4294967297"));
  DatasetOptions five;
  five.classes = 5;
  EXPECT_THAT(error("/x", "/y", five),
              HasSubstr("sample 1 has the label 9; labels must be 0 to 4 (5 classes)"));
  EXPECT_THAT(error("/x", "/parts", five),
              HasSubstr("sample 1 has the label 1.5, which is not a whole number"));
  EXPECT_THAT(error("/x", "/nanlabel", five), HasSubstr("sample 1 has the label nan"));
  EXPECT_THAT(error("/x", "/sums", five), HasSubstr("has targets of 2 classes, but 5 are expected"));
  EXPECT_THAT(error("/x", "/sums", {.task = TargetTask::classes}),
              HasSubstr("sample 1: its 2 targets sum to 2, not to 1"));
  EXPECT_THAT(error("/scalar", ""), HasSubstr("is a single number"));
  EXPECT_THAT(error("/none", ""), HasSubstr("has no samples: its shape is (0, 2)"));
  EXPECT_THAT(error("/void", ""), HasSubstr("has samples without values"));
  // A streamed data set finds NaN when it is read, not when it is opened.
  DatasetOptions streamed;
  streamed.memory_budget = 0;
  const auto data = open_dataset({{path}, "/nan", ""}, streamed);
  EXPECT_THAT(error_of([&] { all_x<float>(*data); }), HasSubstr("/nan: sample 2 holds NaN"));
}

TEST(Dataset, FingerprintSeesTheDataAndNotTheFileName) {
  const TemporaryFolder folder;
  const auto make = [&](const std::string& name, float last, const hdf5::Storage& storage) {
    std::vector<float> x = counting<float>(100);
    x.back() = last;
    put(folder / name, "/x", {50, 2}, x, storage);
    put(folder / name, "/y", {50}, counting<uint8_t>(50, 3));
    return open(folder / name)->fingerprint();
  };
  const uint64_t reference = make("a.h5", 1, {});
  EXPECT_EQ(make("b.h5", 1, {{10, 2}, 1}), reference);
  EXPECT_NE(make("c.h5", 2, {}), reference);
}

TEST(Split, PartsAreDisjointCompleteAndSeeded) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {101, 1}, counting<int32_t>(101));
  put(folder / "a.h5", "/y", {101}, counting<int32_t>(101, 4));
  const std::shared_ptr<const Dataset> whole = open(folder / "a.h5");
  const Split split = split_dataset(whole, 0.2, 7);
  EXPECT_EQ(split.validation->size(), 20);
  EXPECT_EQ(split.train->size(), 81);
  EXPECT_EQ(split.train->classes(), 4);
  std::vector<float> all = all_x<float>(*split.validation);
  const std::vector<float> validation = all, train = all_x<float>(*split.train);
  all.insert(all.end(), train.begin(), train.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, counting<float>(101));
  const std::vector<int32_t> labels = all_y<int32_t>(*split.validation);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(labels[i], static_cast<int32_t>(validation[i]) % 4);
  EXPECT_EQ(all_x<float>(*split_dataset(whole, 0.2, 7).validation), validation);
  EXPECT_NE(all_x<float>(*split_dataset(whole, 0.2, 8).validation), validation);
  EXPECT_NE(split.train->fingerprint(), split.validation->fingerprint());
  EXPECT_NE(split_dataset(whole, 0.2, 8).train->fingerprint(), split.train->fingerprint());
  for (const double fraction : {0.0, 1.0, -0.5, 0.001, 0.999, std::numeric_limits<double>::quiet_NaN()})
    EXPECT_THAT(error_of([&] { split_dataset(whole, fraction, 7); }, ExitCode::usage),
                HasSubstr("data.validation_split = "));
}

// Real files, as they are.
TEST(Dataset, ReadsTheCatImagesAsTheyAre) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hdf5-real/train_catvnoncat.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const auto data = open_dataset({{path}, "/train_set_x", "/train_set_y"}, {});
  EXPECT_EQ(data->size(), 209);
  EXPECT_EQ(data->x_shape(), Shape({64, 64, 3}));
  EXPECT_EQ(data->x_dtype(), DType::u8);
  EXPECT_EQ(data->classes(), 2);
  const std::vector<int32_t> labels = all_y<int32_t>(*data);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 1), 72);
}

TEST(Dataset, ReadsChecksummedCompressedAndNetCdfFiles) {
  const std::string folder = LOCKSTEP_SHARED_DATA "/hdf5-real";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  const auto strain =
      open_dataset({{folder + "/H-H1_LOSC_4_V2-1126259446-32.hdf5"}, "/strain/Strain", ""}, {});
  EXPECT_EQ(strain->size(), 131072);
  EXPECT_EQ(strain->x_dtype(), DType::f64);
  const auto basins = open_dataset({{folder + "/basin_mask.nc"}, "/basin", ""}, {});
  EXPECT_EQ(basins->x_shape(), Shape({180, 360}));
  EXPECT_EQ(basins->x_dtype(), DType::f32);
  const auto counts = open_dataset({{folder + "/10x_filtered_feature_bc_matrix.h5"}, "/matrix/data", ""}, {});
  EXPECT_EQ(counts->size(), 23866);
  const std::vector<float> values = all_x<float>(*counts);
  EXPECT_EQ(*std::min_element(values.begin(), values.end()), 1);
  EXPECT_EQ(*std::max_element(values.begin(), values.end()), 36);
}

TEST(Dataset, StreamsTheUspsDigitsThroughTheirSplitChunks) {
  const std::string path = LOCKSTEP_SHARED_DATA "/hdf5-real/usps.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
  const DataSource source{{path}, "/train/data", "/train/target"};
  DatasetOptions options;
  options.classes = 10;
  const auto resident = open_dataset(source, options);
  EXPECT_EQ(resident->size(), 7291);
  EXPECT_EQ(resident->x_shape(), Shape{256});
  EXPECT_EQ(resident->target_kind(), TargetKind::classes);
  EXPECT_EQ(resident->classes(), 10);
  options.memory_budget = 2 << 20;
  const auto streamed = open_dataset(source, options);
  EXPECT_THAT(streamed->describe(), HasSubstr("streamed"));
  EXPECT_EQ(all_x<float>(*streamed), all_x<float>(*resident));
  EXPECT_EQ(streamed->fingerprint(), resident->fingerprint());
}

}  // namespace
}  // namespace lockstep
