#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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
  const DataSource mask{{folder + "/basin_mask.nc"}, "/basin", ""};
  EXPECT_THAT(error_of([&] { open_dataset(mask, {}); }),
              AllOf(HasSubstr("/basin: sample 0 holds NaN or infinity"),
                    HasSubstr("-100 means a missing value"), HasSubstr("data.missing")));
  const auto basins = open_dataset(mask, {.missing = 0});
  EXPECT_EQ(basins->x_shape(), Shape({180, 360}));
  EXPECT_EQ(basins->x_dtype(), DType::f32);
  const std::vector<float> codes = all_x<float>(*basins);
  EXPECT_EQ(*std::min_element(codes.begin(), codes.end()), 0);
  EXPECT_EQ(*std::max_element(codes.begin(), codes.end()), 58);
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
