#include "io/export/prediction_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/io/files.h"
#include "tests/io/limited_disk.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(PredictionWriter, StoresClassesAndProbabilities) {
  const TemporaryFolder folder;
  const std::vector<float> values = {.1f, .7f, .2f, .5f, .5f, 0, .2f, .2f, .6f};
  PredictionWriter writer(folder / "p.h5", 3, {.kind = TargetKind::classes, .values = {3}});
  writer.write(0, {values.data(), DType::f32, {2, 3}});
  writer.write(2, {values.data() + 6, DType::f32, {1, 3}});
  EXPECT_FALSE(std::filesystem::exists(folder / "p.h5"));
  writer.commit();
  const hdf5::File file = hdf5::File::open(folder / "p.h5");
  std::vector<int32_t> classes(3);
  std::vector<float> probabilities(9);
  EXPECT_EQ(file.dataset("/prediction").type().exact, DType::i32);
  file.dataset("/prediction").read(DType::i32, classes.data());
  file.dataset("/probabilities").read(DType::f32, probabilities.data());
  EXPECT_THAT(classes, ElementsAre(1, 0, 2));
  EXPECT_EQ(probabilities, values);
}

TEST(PredictionWriter, StoresValuesOfAnyShape) {
  const TemporaryFolder folder;
  const std::vector<float> values = {1, 2, 3, 4};
  for (const Shape& shape : {Shape{}, Shape{2}, Shape{2, 1}}) {
    const int64_t rows = 4 / shape.elements();
    PredictionWriter writer(folder / "p.h5", rows, {.values = shape});
    writer.write(0, {values.data(), DType::f32, shape.batched(rows)});
    writer.commit();
    const hdf5::File file = hdf5::File::open(folder / "p.h5");
    EXPECT_THAT(file.dataset_names(), ElementsAre("/prediction"));
    EXPECT_EQ(Shape(file.dataset("/prediction").extents()), shape.batched(rows));
    std::vector<float> read(4);
    file.dataset("/prediction").read(DType::f32, read.data());
    EXPECT_EQ(read, values);
  }
}

TEST(PredictionWriter, StoresAClassMapForClassesAtPositions) {
  const TemporaryFolder folder;
  const std::vector<float> values = {.1f, .9f, .6f, .4f, .5f, .5f, 0, 1};
  PredictionWriter writer(folder / "p.h5", 2,
                          {.kind = TargetKind::classes, .positions = {1, 2}, .values = {2}});
  writer.write(0, {values.data(), DType::f32, {2, 4}});
  writer.commit();
  const hdf5::File file = hdf5::File::open(folder / "p.h5");
  EXPECT_THAT(file.dataset_names(), ElementsAre("/prediction"));
  EXPECT_THAT(file.dataset("/prediction").extents(), ElementsAre(2, 1, 2));
  std::vector<int32_t> classes(4);
  file.dataset("/prediction").read(DType::i32, classes.data());
  EXPECT_THAT(classes, ElementsAre(1, 0, 0, 1));
}

TEST(PredictionWriter, StoresLabelsAndTheirProbabilities) {
  const TemporaryFolder folder;
  const std::vector<float> values = {.1f, .9f, .5f, .6f, .4f, 1};
  PredictionWriter writer(folder / "p.h5", 2, {.kind = TargetKind::labels, .values = {3}});
  writer.write(0, {values.data(), DType::f32, {2, 3}});
  writer.commit();
  const hdf5::File file = hdf5::File::open(folder / "p.h5");
  std::vector<int32_t> labels(6);
  std::vector<float> probabilities(6);
  file.dataset("/prediction").read(DType::i32, labels.data());
  file.dataset("/probabilities").read(DType::f32, probabilities.data());
  EXPECT_THAT(labels, ElementsAre(0, 1, 0, 1, 0, 1));
  EXPECT_EQ(probabilities, values);
}

TEST(PredictionWriter, StoresNothingForNoSamples) {
  const TemporaryFolder folder;
  PredictionWriter writer(folder / "p.h5", 0, {.kind = TargetKind::probabilities, .values = {10}});
  writer.commit();
  EXPECT_THAT(hdf5::File::open(folder / "p.h5").dataset("/probabilities").extents(), ElementsAre(0, 10));
}

TEST(PredictionWriter, LeavesNothingBehindOnAFullDisk) {
  const TemporaryFolder folder;
  const std::vector<float> values(5000);
  const auto write = [&] {
    PredictionWriter writer(folder / "p.h5", 5000, {.values = {}});
    writer.write(0, {values.data(), DType::f32, {5000}});
    writer.commit();
  };
  const FileSizeLimit limit(4096);
  EXPECT_THAT(data_error_of(write), HasSubstr("File too large"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace lockstep
