#include "io/import/import_arrays.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "io/import/array_writer.h"
#include "tests/io/data_files.h"
#include "tests/io/files.h"
#include "tests/io/import/npy_bytes.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// 0, 1, 2, ... as int32.
std::string counted_npy(const std::string& shape, int count, bool fortran = false, bool big_endian = false) {
  std::string elements;
  for (int i = 0; i < count; ++i) {
    std::string element = little_endian(static_cast<uint64_t>(i), 4);
    if (big_endian) std::ranges::reverse(element);
    elements += element;
  }
  return npy_bytes(fmt::format("{{'descr': '{}i4', 'fortran_order': {}, 'shape': {}, }}",
                               big_endian ? '>' : '<', fortran ? "True" : "False", shape),
                   1, elements);
}

class ImportArrays : public testing::Test {
 protected:
  std::string put_file(const std::string& name, const std::string& bytes) const {
    write_raw(folder_ / name, bytes);
    return folder_ / name;
  }
  std::string out() const { return folder_ / "out.h5"; }
  std::vector<int32_t> values(const std::string& name) const {
    const hdf5::File file = hdf5::File::open(out());
    const hdf5::Dataset dataset = file.dataset(name);
    std::vector<int32_t> read(static_cast<size_t>(dataset.elements()));
    dataset.read(DType::i32, read.data());
    return read;
  }
  std::string npz_error(const std::string& bytes) const {
    const std::string path = put_file("bad.npz", bytes);
    const std::string message = data_error_of([&] { import_npz(path, "", "", out()); });
    EXPECT_FALSE(std::filesystem::exists(out()));
    return message;
  }
  TemporaryFolder folder_;
};

TEST_F(ImportArrays, KeepsTypesAndByteOrders) {
  for (const bool big_endian : {false, true}) {
    import_npy(put_file("x.npy", counted_npy("(3, 2)", 6, false, big_endian)),
               put_file("y.npy", counted_npy("(3,)", 3)), out());
    EXPECT_THAT(values("/train/x"), ElementsAre(0, 1, 2, 3, 4, 5));
    EXPECT_THAT(values("/train/y"), ElementsAre(0, 1, 2));
    EXPECT_EQ(hdf5::File::open(out()).dataset("/train/x").type().big_endian, big_endian);
  }
}

TEST_F(ImportArrays, TransposesFortranOrderInAnyMemory) {
  const InputFile file(put_file("x.npy", counted_npy("(5, 2, 3)", 30, true)));
  std::vector<int32_t> expected;
  for (int i = 0; i < 5; ++i)
    for (int j = 0; j < 2; ++j)
      for (int k = 0; k < 3; ++k) expected.push_back(i + 5 * (j + 2 * k));
  for (const int64_t memory : {1, 24, 48, 72, 1000}) {
    hdf5::File result = hdf5::File::create(out());
    const StoredArray array =
        open_array(file, {.stored_bytes = file.bytes(), .bytes = file.bytes()}, "x.npy");
    write_array(
        result, "/train/x", array, [](int64_t) {}, memory);
    result.close();
    EXPECT_EQ(values("/train/x"), expected) << memory;
  }
}

TEST_F(ImportArrays, ReadsZipFilesOfAllKinds) {
  for (const bool zip64 : {false, true})
    for (const bool deflate : {false, true}) {
      const std::string path =
          put_file("a.npz", zip_bytes({{"y_test.npy", counted_npy("(4,)", 4), deflate},
                                       {"x_train.npy", counted_npy("(3, 500)", 1500), deflate},
                                       {"more.npy", counted_npy("(1,)", 1), deflate},
                                       {"x_test.npy", counted_npy("(4, 2)", 8, true), deflate}},
                                      zip64));
      const ImportedArrays imported = import_npz(path, "", "", out());
      EXPECT_THAT(imported.unused, ElementsAre("more"));
      ASSERT_EQ(imported.arrays.size(), 3u);
      EXPECT_EQ(imported.arrays[0].text, "int32 (3, 500)");
      EXPECT_EQ(values("/train/x"), counting<int32_t>(1500));
      EXPECT_THAT(values("/test/x"), ElementsAre(0, 4, 1, 5, 2, 6, 3, 7));
      EXPECT_THAT(values("/test/y"), ElementsAre(0, 1, 2, 3));
      import_npz(path, "x_test", "", out());
      EXPECT_THAT(values("/train/x"), ElementsAre(0, 4, 1, 5, 2, 6, 3, 7));
    }
}

TEST_F(ImportArrays, ListsWhatThereIs) {
  EXPECT_THAT(npz_error(zip_bytes({{"images.npy", counted_npy("(3,)", 3)}, {"text.txt", "text"}})),
              AllOf(HasSubstr("no array x or x_train there"),
                    HasSubstr("It holds: images int32 (3), text.txt (no array of numbers).")));
}

TEST_F(ImportArrays, RefusesADamagedZipFile) {
  const std::string array = counted_npy("(300,)", 300);
  EXPECT_THAT(npz_error("text"), HasSubstr("not a zip file"));
  EXPECT_THAT(npz_error(""), HasSubstr("not a zip file"));
  std::string stored = zip_bytes({{"x.npy", array}});
  stored[400] ^= 1;
  EXPECT_THAT(npz_error(stored), HasSubstr("x is damaged: its checksum is another"));
  std::string deflated = zip_bytes({{"x.npy", array, true}});
  EXPECT_THAT(npz_error(deflated.substr(0, deflated.size() - 30)), HasSubstr("its end is missing"));
  EXPECT_THAT(npz_error(deflated.substr(60)), HasSubstr("directory is damaged, or the file is cut short"));
  // The sizes in the directory, which is 46 bytes and the name before the end: 2^31 bytes of a few.
  std::string bomb = deflated;
  bomb[bomb.size() - 22 - 5 - 46 + 27] = '\x7F';
  EXPECT_THAT(npz_error(bomb), HasSubstr("directory is damaged"));
}

TEST_F(ImportArrays, OfRandomDamageEndsInAnErrorOrAnArray) {
  std::mt19937 random(11);
  for (const bool zip64 : {false, true}) {
    const std::string whole = zip_bytes({{"x.npy", counted_npy("(30, 2)", 60, true), true}}, zip64);
    for (int i = 0; i < 300; ++i) {
      std::string damaged = whole;
      for (int change = 0; change < 3; ++change)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      const std::string path = put_file("bad.npz", damaged);
      data_error_of([&] { import_npz(path, "", "", out()); });
    }
  }
}

}  // namespace
}  // namespace lockstep
