#include "io/import/import_cifar10.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "io/hdf5/hdf5.h"
#include "tests/io/files.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Byte of channel c of pixel p of image i.
uint8_t pixel(size_t i, size_t p, size_t c) { return static_cast<uint8_t>(i * 31 + p * 3 + c * 101); }

/// Records of images `first` on, of the class i % 10.
std::string records(size_t first, size_t count) {
  std::string bytes;
  for (size_t i = first; i < first + count; ++i) {
    bytes += static_cast<char>(i % 10);
    for (size_t c = 0; c < 3; ++c)
      for (size_t p = 0; p < 1024; ++p) bytes += static_cast<char>(pixel(i, p, c));
  }
  return bytes;
}

class ImportCifar10 : public testing::Test {
 protected:
  ImportCifar10() {
    // In the order of their names, not in that of the folder.
    write_raw(folder_ / "data_batch_2.bin", records(7, 5));
    write_raw(folder_ / "data_batch_1.bin", records(0, 7));
    write_raw(folder_ / "test_batch.bin", records(100, 3));
    write_raw(folder_ / "batches.meta.txt", "airplane\n");
  }
  std::string out() const { return folder_ / "out.h5"; }
  /// The error of an import, which must leave nothing behind.
  std::string import_error(const std::string& source) {
    const std::string message = data_error_of([&] { import_cifar10(source, out()); });
    EXPECT_FALSE(std::filesystem::exists(out()));
    return message;
  }
  void expect_images(const std::string& group, size_t first, size_t count) const {
    const hdf5::File file = hdf5::File::open(out());
    EXPECT_THAT(file.dataset(group + "/x").extents(), ElementsAre(static_cast<int64_t>(count), 32, 32, 3));
    std::vector<uint8_t> x(count * 3072), y(count);
    file.dataset(group + "/x").read(DType::u8, x.data());
    file.dataset(group + "/y").read(DType::u8, y.data());
    for (size_t i = 0; i < count; ++i) {
      EXPECT_EQ(y[i], (first + i) % 10);
      for (size_t p = 0; p < 1024; ++p)
        for (size_t c = 0; c < 3; ++c) ASSERT_EQ(x[(i * 1024 + p) * 3 + c], pixel(first + i, p, c));
    }
  }
  TemporaryFolder folder_;
};

TEST_F(ImportCifar10, PutsTheChannelsOfEachPixelTogether) {
  const ImportedSamples imported = import_cifar10(folder_.path(), out());
  EXPECT_EQ(imported.train, 12);
  EXPECT_EQ(imported.test, 3);
  expect_images("/train", 0, 12);
  expect_images("/test", 100, 3);
}

TEST_F(ImportCifar10, ReadsOneFileAsTrainingData) {
  const ImportedSamples imported = import_cifar10(folder_ / "test_batch.bin", out());
  EXPECT_EQ(imported.train, 3);
  EXPECT_EQ(imported.test, 0);
  expect_images("/train", 100, 3);
  EXPECT_FALSE(hdf5::File::open(out()).contains("/test/x"));
}

TEST_F(ImportCifar10, NamesAFileOfAnotherFormat) {
  const std::string path = folder_ / "data_batch_1.bin";
  const std::string good = records(0, 2);
  for (const size_t size : {size_t{0}, size_t{1}, good.size() - 1, good.size() + 1}) {
    write_raw(path, (good + "x").substr(0, size));
    EXPECT_THAT(import_error(folder_.path()), AllOf(HasSubstr(path), HasSubstr("records of 3073 bytes")));
  }
  write_raw(path, std::string(3074 * 2, '\1'));
  EXPECT_THAT(import_error(path), HasSubstr("CIFAR-100"));
  std::string wrong = good;
  wrong[3073] = 10;
  write_raw(path, wrong);
  EXPECT_THAT(import_error(path), HasSubstr("record 1 has the class 10"));
}

TEST_F(ImportCifar10, NamesWhatItLookedFor) {
  EXPECT_THAT(import_error(folder_ / "nowhere"), HasSubstr("no such file or folder"));
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_THAT(import_error(folder_ / "empty"), HasSubstr("Looked for: data_batch_*.bin, train.bin"));
}

TEST(ImportCifar10Real, ReadsTheFirstImages) {
  const std::string source = LOCKSTEP_SHARED_DATA "/cifar10/data_batch_1.first4000.bin";
  if (!std::filesystem::exists(source)) GTEST_SKIP() << "no " << source;
  const TemporaryFolder folder;
  EXPECT_EQ(import_cifar10(source, folder / "out.h5").train, 4000);
  const hdf5::File file = hdf5::File::open(folder / "out.h5");
  std::vector<uint8_t> first(32 * 32 * 3), y(4000);
  file.dataset("/train/x").read_rows(0, 1, DType::u8, first.data());
  file.dataset("/train/y").read(DType::u8, y.data());
  // The first training image is a frog (6), whose upper left pixel is known.
  EXPECT_EQ(y[0], 6);
  EXPECT_THAT(std::vector<uint8_t>(first.begin(), first.begin() + 3), ElementsAre(59, 62, 63));
}

}  // namespace
}  // namespace lockstep
