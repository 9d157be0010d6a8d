#include "io/hdf5/needed_version.h"

#include <filesystem>
#include <fstream>

#include "io/probe/inspect.h"
#include "tests/io/data_files.h"
#include "tests/io/hdf5/source_files.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// Two data sets of 32-bit integers, with object headers of version 1, which have no checksum, or of
/// version 2.
void write_two(const std::string& path, H5F_libver_t format) {
  const hdf5::Lock lock;
  const hdf5::Id access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_libver_bounds(access.get(), format, H5F_LIBVER_LATEST);
  const hdf5::Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()));
  const hsize_t extent = 4;
  const hdf5::Id space(H5Screate_simple(1, &extent, nullptr));
  const std::array<int32_t, 4> values = {1, 2, 3, 4};
  for (const char* name : {"x", "y"}) {
    const hdf5::Id type(H5Tcopy(name[0] == 'x' ? H5T_STD_I32LE : H5T_STD_I64LE));
    const hdf5::Id set(
        H5Dcreate2(file.get(), name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Dwrite(set.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }
}

/// Replaces the only occurrence of some bytes.
void patch(const std::string& path, const std::string& bytes, const std::string& by) {
  std::ifstream in(path, std::ios::binary);
  std::string all((std::istreambuf_iterator<char>(in)), {});
  const size_t at = all.find(bytes);
  ASSERT_NE(at, std::string::npos);
  ASSERT_EQ(all.find(bytes, at + 1), std::string::npos);
  all.replace(at, by.size(), by);
  std::ofstream(path, std::ios::binary) << all;
}

// Of a 32-bit signed integer: version 1, class 0; then its size, bit offset and precision.
const std::string kInt32("\x10\x08\x00\x00\x04\x00\x00\x00\x00\x00\x20\x00", 12);

std::string error_at(const std::string& path, const std::string& name) {
  return error_of([&] { hdf5::File::open(path).dataset(name); });
}

TEST(NeededVersionTest, ASelectionOfALaterVersionSaysSo) {
  const TemporaryFolder folder;
  put(folder / "a.h5", "/x", {3}, std::vector<double>{1, 2, 3});
  lockstep::put_virtual(folder / "v.h5", "/x", 6, {{"a.h5", "/x", 0, 3}});
  // In the mapping: a hyperslab, of version 1.
  std::ifstream in(folder / "v.h5", std::ios::binary);
  std::string all((std::istreambuf_iterator<char>(in)), {});
  const size_t at = all.find(std::string("\x02\0\0\0\x01\0\0\0", 8));
  ASSERT_NE(at, std::string::npos);
  all[at + 4] = 9;
  std::ofstream(folder / "v.h5", std::ios::binary) << all;
  EXPECT_THAT(error_at(folder / "v.h5", "/x"), AllOf(HasSubstr("v.h5: cannot open data set /x: "),
                                                     HasSubstr("A later version of HDF5 than 1."),
                                                     HasSubstr("libver=(\"earliest\", \"v110\")")));
}

TEST(NeededVersionTest, ATypeOfALaterVersionIsNamedWithThatVersion) {
  const TemporaryFolder folder;
  write_two(folder / "a.h5", H5F_LIBVER_EARLIEST);
  patch(folder / "a.h5", kInt32, "\x70");
  EXPECT_THAT(
      error_at(folder / "a.h5", "/x"),
      AllOf(HasSubstr(
                "a.h5: /x is stored in a form that needs HDF5 2.0 or newer, and this program was built with"),
            HasSubstr("libver=(\"earliest\", \"v110\")")));
}

TEST(NeededVersionTest, ComplexNumbersOfALaterVersionAreSaidToBeThat) {
  const TemporaryFolder folder;
  write_two(folder / "a.h5", H5F_LIBVER_EARLIEST);
  patch(folder / "a.h5", kInt32, "\x7b");
  EXPECT_THAT(
      error_at(folder / "a.h5", "/x"),
      AllOf(HasSubstr("complex numbers"), HasSubstr("real and imaginary parts"), Not(HasSubstr("libver"))));
}

TEST(NeededVersionTest, ALayoutOfALaterVersionIsFoundInEveryFormOfHeader) {
  for (const H5F_libver_t format : {H5F_LIBVER_EARLIEST, H5F_LIBVER_V18, H5F_LIBVER_LATEST}) {
    const TemporaryFolder folder;
    write_two(folder / "a.h5", format);
    const hdf5::File file = hdf5::File::open(folder / "a.h5");
    EXPECT_THAT(hdf5::needs_later_version(file, "/x"), IsEmpty()) << "as it is";
    // Its layout: the version, contiguous, and where; the size of 16 bytes makes it the one of x.
    std::ifstream in(folder / "a.h5", std::ios::binary);
    std::string all((std::istreambuf_iterator<char>(in)), {});
    const std::string size("\x10\x00\x00\x00\x00\x00\x00\x00", 8);
    size_t at = std::string::npos;
    for (size_t i = all.find("\x03\x01"); i != std::string::npos; i = all.find("\x03\x01", i + 1))
      if (all.compare(i + 10, 8, size) == 0) at = i;
    for (size_t i = all.find("\x04\x01"); i != std::string::npos; i = all.find("\x04\x01", i + 1))
      if (all.compare(i + 10, 8, size) == 0) at = i;
    ASSERT_NE(at, std::string::npos) << format;
    all[at] = '\x05';
    std::ofstream(folder / "a.h5", std::ios::binary) << all;
    // The checksum of later headers is wrong now, and is not looked at.
    EXPECT_THAT(hdf5::needs_later_version(file, "/x"), HasSubstr("needs HDF5 2.0 or newer")) << format;
    EXPECT_THAT(hdf5::needs_later_version(file, "/y"), IsEmpty()) << format;
  }
}

TEST(NeededVersionTest, TheOtherDataSetsOfTheFileAreListed) {
  const TemporaryFolder folder;
  write_two(folder / "a.h5", H5F_LIBVER_EARLIEST);
  patch(folder / "a.h5", kInt32, "\x70");
  const FileDescription description = describe_file(folder / "a.h5");
  ASSERT_THAT(description.datasets, SizeIs(1));
  EXPECT_EQ(description.datasets[0].name, "/y");
  EXPECT_THAT(description.problems, ElementsAre(HasSubstr("/x is stored in a form that needs HDF5 2.0")));
}

TEST(NeededVersionTest, DamageIsNotTakenForALaterVersion) {
  const TemporaryFolder folder;
  write_two(folder / "a.h5", H5F_LIBVER_EARLIEST);
  patch(folder / "a.h5", kInt32, "\x1f");  // no such class
  EXPECT_THAT(error_at(folder / "a.h5", "/x"), AllOf(HasSubstr("/x"), Not(HasSubstr("newer"))));
}

TEST(NeededVersionTest, FilesOfH5pyWithTheLatestFormatNameTheVersion) {
  const std::string trials = LOCKSTEP_SHARED_DATA "/hdf5-trials/";
  if (!std::filesystem::exists(trials)) GTEST_SKIP() << "the shared data is not here";
#if H5_VERSION_GE(2, 0, 0)
  GTEST_SKIP() << "this libhdf5 reads them";
#endif
  const FileDescription layouts = describe_file(trials + "latest_v2.h5");
  EXPECT_THAT(layouts.datasets, SizeIs(2));
  EXPECT_THAT(layouts.problems, ElementsAre(HasSubstr("/btree2 is stored in a form that needs HDF5 2.0"),
                                            HasSubstr("/train/x is stored in a form that needs HDF5 2.0")));
  const FileDescription complex = describe_file(trials + "complex_h5t.h5");
  EXPECT_THAT(complex.datasets, SizeIs(1));
  EXPECT_THAT(complex.problems, ElementsAre(HasSubstr("complex numbers")));
}

TEST(NeededVersionTest, ComplexNumbersOfEarlierFilesAreNamed) {
  const TemporaryFolder folder;
  {
    const hdf5::Lock lock;
    const hdf5::Id file(H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    const hdf5::Id type(H5Tcreate(H5T_COMPOUND, 8));
    H5Tinsert(type.get(), "r", 0, H5T_IEEE_F32LE);
    H5Tinsert(type.get(), "i", 4, H5T_IEEE_F32LE);
    const hsize_t extent = 4;
    const hdf5::Id space(H5Screate_simple(1, &extent, nullptr));
    const hdf5::Id set(
        H5Dcreate2(file.get(), "z", type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  }
  EXPECT_EQ(hdf5::File::open(folder / "a.h5").dataset("/z").type().name, "complex64");
}

}  // namespace
}  // namespace lockstep
