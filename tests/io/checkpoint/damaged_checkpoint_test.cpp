#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "io/checkpoint/checkpoint_here.h"
#include "io/hdf5/hdf5.h"
#include "src/core/rng.h"
#include "tests/io/checkpoint/sample_checkpoint.h"
#include "tests/io/files.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Checkpoint, RefusesFilesOfAnotherKind) {
  const TemporaryFolder folder;
  EXPECT_THAT(data_error_of([&] { load_checkpoint(folder / "none.h5"); }), HasSubstr("none.h5"));
  write_raw(folder / "text.h5", "not HDF5 at all");
  EXPECT_THAT(data_error_of([&] { load_checkpoint(folder / "text.h5"); }), HasSubstr("not an HDF5 file"));
  hdf5::File data = hdf5::File::create(folder / "data.h5");
  data.create_dataset("/train/x", DType::u8, {3});
  data.close();
  EXPECT_THAT(data_error_of([&] { load_checkpoint(folder / "data.h5"); }),
              HasSubstr("not a Lockstep checkpoint"));
  hdf5::File newer = hdf5::File::create(folder / "newer.h5");
  newer.set_attribute("/", "format", std::string("lockstep checkpoint"));
  newer.set_attribute("/", "version", int64_t{99});
  newer.close();
  EXPECT_THAT(data_error_of([&] { load_checkpoint(folder / "newer.h5"); }), HasSubstr("format 99"));
}

TEST(Checkpoint, NamesTheTensorWhoseBytesChanged) {
  const TemporaryFolder folder;
  SampleCheckpoint sample;
  save_checkpoint(folder / "a.h5", sample.checkpoint);
  std::string bytes = content_of(folder / "a.h5");
  const size_t at = bytes.find(std::string(1000, 7));
  ASSERT_NE(at, std::string::npos);
  bytes[at + 500] ^= 1;
  write_raw(folder / "a.h5", bytes);
  EXPECT_THAT(data_error_of([&] { load_checkpoint(folder / "a.h5"); }),
              AllOf(HasSubstr("a.h5"), HasSubstr("state/mask")));
}

TEST(Checkpoint, RefusesHostileFilesWithoutCrashing) {
  const std::string folder = LOCKSTEP_SHARED_DATA "/hostile-hdf5";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".h5") continue;
    EXPECT_THAT(data_error_of([&] { load_checkpoint(entry.path().string()); }),
                HasSubstr(entry.path().filename().string()));
  }
}

/// Edits a file through libhdf5, whose own checksums then hold.
void edit(const std::string& path, const std::function<void(hid_t)>& change) {
  const hdf5::Lock lock;
  const hdf5::Id file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT));
  ASSERT_TRUE(file);
  change(file.get());
}

TEST(Checkpoint, RefusesEditsThatHdf5Accepts) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  const std::vector<float> ones(4, 1), twos(4, 2);
  Checkpoint checkpoint;
  checkpoint.tensors = {{"m/a", {ones.data(), DType::f32, {4}}}, {"m/b", {twos.data(), DType::f32, {4}}}};
  checkpoint.integers["epoch"] = 3;
  const auto error_after = [&](const std::function<void(hid_t)>& change) {
    save_checkpoint(path, checkpoint);
    edit(path, change);
    return data_error_of([&] { load_checkpoint_here(path); });
  };
  EXPECT_THAT(error_after([](hid_t file) {
                H5Lmove(file, "/m/a", file, "/m/c", H5P_DEFAULT, H5P_DEFAULT);
                H5Lmove(file, "/m/b", file, "/m/a", H5P_DEFAULT, H5P_DEFAULT);
                H5Lmove(file, "/m/c", file, "/m/b", H5P_DEFAULT, H5P_DEFAULT);
              }),
              HasSubstr("tensor m/a does not have the hash"));
  EXPECT_THAT(error_after([](hid_t file) {
                const int64_t epoch = 4;
                const hdf5::Id integers(H5Dopen2(file, "/metadata/integers", H5P_DEFAULT));
                EXPECT_GE(H5Dwrite(integers.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &epoch),
                          0);
              }),
              HasSubstr("metadata does not have the hash"));
  EXPECT_THAT(
      error_after([](hid_t file) { H5Adelete_by_name(file, "/metadata/integers", "names", H5P_DEFAULT); }),
      HasSubstr("lacks the attribute /metadata/integers"));
  EXPECT_THAT(error_after([](hid_t file) { H5Ldelete(file, "/metadata/xxh3", H5P_DEFAULT); }),
              HasSubstr("lacks the tensor metadata/xxh3"));
  EXPECT_THAT(error_after([](hid_t file) { H5Ldelete(file, "/m/b", H5P_DEFAULT); }),
              HasSubstr("lacks the tensor m/b"));
  EXPECT_THAT(error_after([](hid_t file) {
                const std::vector<float> threes(4, 3);
                const hdf5::Id dataset(H5Dopen2(file, "/m/b", H5P_DEFAULT));
                H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, threes.data());
              }),
              HasSubstr("tensor m/b does not have the hash"));
  EXPECT_THAT(error_after([](hid_t file) {
                const hsize_t extent = hsize_t{1} << 50;
                const hdf5::Id space(H5Screate_simple(1, &extent, nullptr));
                H5Ldelete(file, "/m/b", H5P_DEFAULT);
                const hdf5::Id dataset(H5Dcreate2(file, "/m/b", H5T_NATIVE_FLOAT, space.get(), H5P_DEFAULT,
                                                  H5P_DEFAULT, H5P_DEFAULT));
                EXPECT_TRUE(dataset);
              }),
              HasSubstr("tensor m/b is larger than the file"));
}

/// libhdf5 leaks where it gives up on damaged metadata, which is not what the leak checker is to report.
struct LeaksAllowed {
#ifdef __SANITIZE_ADDRESS__
  __lsan::ScopedDisabler disabler;
#endif
};

/// Loads a damaged file and demands either an Error(data) that names it, or exactly what was saved.
void expect_error_or_unchanged(const std::string& path, const Checkpoint& saved, const std::string& what) {
  try {
    EXPECT_TRUE(same(load_checkpoint_here(path), saved)) << what << " loads as something else";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::data) << what << ": " << e.what();
    EXPECT_THAT(e.what(), HasSubstr(path)) << what;
  }
}

// Here and below without the child process, which is slow to start two hundred times: what libhdf5 does with
// these files must not even need it.
TEST(Checkpoint, SurvivesTwoHundredFlippedBits) {
  // From the start: libhdf5 keeps blocks for reuse, so what it leaks may have been allocated while saving.
  [[maybe_unused]] const LeaksAllowed leaks;
  const TemporaryFolder folder;
  SampleCheckpoint sample;
  sample.checkpoint.strings["config"] = "short, so that most flips hit the structure";
  save_checkpoint(folder / "a.h5", sample.checkpoint);
  const std::string good = content_of(folder / "a.h5");
  RandomStream random(5, 0);
  for (int i = 0; i < 200; ++i) {
    std::string bytes = good;
    const uint32_t at = random.next_below(static_cast<uint32_t>(bytes.size())), bit = random.next_below(8);
    bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1 << bit));
    write_raw(folder / "flipped.h5", bytes);
    expect_error_or_unchanged(folder / "flipped.h5", sample.checkpoint,
                              fmt::format("bit {} of byte {} flipped", bit, at));
  }
}

TEST(Checkpoint, RefusesATruncatedFile) {
  const TemporaryFolder folder;
  const SampleCheckpoint sample;
  save_checkpoint(folder / "a.h5", sample.checkpoint);
  const std::string good = content_of(folder / "a.h5");
  std::vector<size_t> sizes;
  for (size_t missing = 1; missing <= 20; ++missing) sizes.push_back(good.size() - missing);
  RandomStream random(6, 0);
  for (int i = 0; i < 20; ++i) sizes.push_back(random.next_below(static_cast<uint32_t>(good.size())));
  for (const size_t size : sizes) {
    write_raw(folder / "cut.h5", std::string_view(good).substr(0, size));
    EXPECT_THAT(data_error_of([&] { load_checkpoint_here(folder / "cut.h5"); }), HasSubstr("cut.h5"))
        << size << " bytes";
  }
}

}  // namespace
}  // namespace lockstep
