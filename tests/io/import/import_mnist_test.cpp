#include "io/import/import_mnist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <numeric>

#include "io/hdf5/hdf5.h"
#include "io/import/idx.h"
#include "tests/io/files.h"
#include "tests/io/limited_disk.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string idx_of(const std::vector<uint32_t>& extents, size_t elements) {
  std::string bytes = {0, 0, 8, static_cast<char>(extents.size())};
  for (const uint32_t extent : extents)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(extent >> shift);
  for (size_t i = 0; i < elements; ++i) bytes += static_cast<char>(i * 7);
  return bytes;
}

void write_gzip(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(file);
}

/// A tiny MNIST: 5 images of 2 x 3 to train, 2 to test.
class ImportMnist : public testing::Test {
 protected:
  ImportMnist() {
    write_raw(folder_ / "train-images-idx3-ubyte", idx_of({5, 2, 3}, 30));
    write_raw(folder_ / "train-labels.idx1-ubyte", idx_of({5}, 5));
    write_gzip(folder_ / "t10k-images-idx3-ubyte.gz", idx_of({2, 2, 3}, 12));
    write_gzip(folder_ / "t10k-labels.idx1-ubyte.gz", idx_of({2}, 2));
  }
  void import() { import_mnist(folder_.path(), folder_ / "out.h5"); }
  /// The error of an import, which must leave nothing behind.
  std::string import_error() {
    const std::string message = data_error_of([&] { import(); });
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out.h5"));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      EXPECT_THAT(entry.path().string(), testing::Not(HasSubstr(".tmp")));
    return message;
  }
  TemporaryFolder folder_;
};

TEST_F(ImportMnist, ReadsPlainAndGzippedFilesUnderBothNames) {
  import();
  const hdf5::File file = hdf5::File::open(folder_ / "out.h5");
  EXPECT_THAT(file.dataset_names(), ElementsAre("/test/x", "/test/y", "/train/x", "/train/y"));
  const hdf5::Dataset x = file.dataset("/train/x");
  EXPECT_THAT(x.extents(), ElementsAre(5, 2, 3));
  EXPECT_EQ(x.type().exact, DType::u8);
  EXPECT_EQ(x.layout(), "contiguous");
  std::vector<uint8_t> pixels(30), labels(2);
  x.read(DType::u8, pixels.data());
  for (size_t i = 0; i < pixels.size(); ++i) EXPECT_EQ(pixels[i], 7 * i);
  file.dataset("/test/y").read(DType::u8, labels.data());
  EXPECT_THAT(labels, ElementsAre(0, 7));
}

TEST_F(ImportMnist, NamesWhatItLookedFor) {
  std::filesystem::remove(folder_ / "t10k-labels.idx1-ubyte.gz");
  EXPECT_THAT(import_error(), AllOf(HasSubstr(folder_.path()), HasSubstr("t10k-labels-idx1-ubyte, "),
                                    HasSubstr("t10k-labels.idx1-ubyte.gz")));
}

TEST_F(ImportMnist, RefusesAnotherFormat) {
  write_raw(folder_ / "train-images-idx3-ubyte", "P5 28 28 255 and so on");
  EXPECT_THAT(import_error(), AllOf(HasSubstr("train-images-idx3-ubyte"), HasSubstr("not an idx file")));
  write_raw(folder_ / "train-images-idx3-ubyte", idx_of({5}, 5));
  EXPECT_THAT(import_error(), HasSubstr("with 3 axes"));
}

TEST_F(ImportMnist, RefusesAFileThatIsTooShortOrTooLong) {
  const std::string good = idx_of({5, 2, 3}, 30);
  for (size_t size = 0; size < good.size(); ++size) {
    write_raw(folder_ / "train-images-idx3-ubyte", good.substr(0, size));
    EXPECT_THAT(import_error(), HasSubstr("train-images-idx3-ubyte")) << size;
  }
  write_raw(folder_ / "train-images-idx3-ubyte", good + "x");
  EXPECT_THAT(import_error(), HasSubstr("longer than the (5, 2, 3)"));
}

TEST_F(ImportMnist, RefusesAHeaderThatClaimsMoreThanThereIs) {
  write_raw(folder_ / "train-images-idx3-ubyte", idx_of({60000, 28, 28}, 100));
  EXPECT_THAT(import_error(), HasSubstr("only 100 of 47040000 bytes follow"));
  write_raw(folder_ / "train-images-idx3-ubyte", idx_of({~0u, ~0u, ~0u}, 100));
  EXPECT_THAT(import_error(), HasSubstr("header is damaged"));
}

TEST_F(ImportMnist, RefusesImagesAndLabelsOfDifferentNumber) {
  write_raw(folder_ / "train-labels.idx1-ubyte", idx_of({4}, 4));
  EXPECT_THAT(import_error(), AllOf(HasSubstr("5 images"), HasSubstr("4 labels")));
}

TEST_F(ImportMnist, RefusesADamagedGzipFile) {
  const std::string path = folder_ / "t10k-images-idx3-ubyte.gz";
  const std::string good = content_of(path);
  for (size_t size = 10; size < good.size(); ++size) {
    write_raw(path, good.substr(0, size));
    EXPECT_THAT(import_error(),
                AllOf(HasSubstr("t10k-images-idx3-ubyte.gz"), HasSubstr("Fetch the file again")))
        << size;
  }
  std::string wrong_checksum = good;
  wrong_checksum[good.size() - 8] ^= 1;
  write_raw(path, wrong_checksum);
  EXPECT_THAT(import_error(), HasSubstr("damaged or cut short"));
}

TEST_F(ImportMnist, SaysWhyItCannotWrite) {
  EXPECT_THAT(data_error_of([&] { import_mnist(folder_.path(), folder_ / "no/out.h5"); }),
              HasSubstr("No such file or directory"));
  const FileSizeLimit limit(512);
  EXPECT_THAT(import_error(), HasSubstr("File too large"));
}

TEST(ImportMnistReal, ReadsMnistAndFashionMnist) {
  for (const std::string name : {"mnist", "fashion-mnist"}) {
    const std::string source = LOCKSTEP_SHARED_DATA "/" + name;
    if (!std::filesystem::exists(source)) GTEST_SKIP() << "no " << source;
    const IdxArray images = read_idx(source + "/t10k-images-idx3-ubyte.gz", 3);
    EXPECT_EQ(images.shape, (Shape{10000, 28, 28}));
    const IdxArray labels = read_idx(source + "/t10k-labels-idx1-ubyte.gz", 1);
    EXPECT_EQ(labels.shape, Shape{10000});
    EXPECT_EQ(*std::max_element(labels.elements.begin(), labels.elements.end()), 9);
    // The first test images are known: a seven in MNIST, an ankle boot (9) in Fashion-MNIST.
    EXPECT_EQ(labels.elements[0], name == "mnist" ? 7 : 9);
  }
}

}  // namespace
}  // namespace lockstep
