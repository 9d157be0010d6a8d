#include "io/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include "io/checkpoint/checkpoint_here.h"
#include "io/checkpoint/checkpoint_layout.h"
#include "io/file/atomic_file.h"
#include "io/hdf5/hdf5.h"
#include "src/core/rng.h"
#include "tests/io/files.h"
#include "tests/io/limited_disk.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

/// A checkpoint with every type, an empty tensor, a scalar and awkward values.
struct Sample {
  std::vector<float> weight = {1.5f, -0.0f, std::numeric_limits<float>::quiet_NaN(), 1e-42f, 3, 4};
  std::vector<double> moment = {1.0 / 3.0};
  std::vector<int64_t> counter = {1LL << 60};
  std::vector<uint16_t> half = {0x3C00, 0x0001, 0x7E01};
  std::vector<uint8_t> mask = std::vector<uint8_t>(1000, 7);
  Checkpoint checkpoint;

  Sample() {
    checkpoint.tensors = {
        {"model/conv1/weight", {weight.data(), DType::f32, {3, 1, 2}}},
        {"model/conv1/bias", {nullptr, DType::f32, {0}}},
        {"optimizer/adam/m/conv1/weight", {moment.data(), DType::f64, Shape{}}},
        {"optimizer/count", {counter.data(), DType::i64, {1}}},
        {"state/half", {half.data(), DType::f16, {3}}},
        {"state/brain", {half.data(), DType::bf16, {3}}},
        {"state/mask", {mask.data(), DType::u8, {10, 100}}},
    };
    checkpoint.integers = {{"epoch", 3}, {"step", -1}, {"seed", std::numeric_limits<int64_t>::min()}};
    checkpoint.reals = {
        {"best", std::numeric_limits<double>::infinity()}, {"third", 1.0 / 3.0}, {"none", std::nan("")}};
    checkpoint.strings = {{"config", std::string(100000, 'c') + "é\n"}, {"empty", ""}};
  }
};

/// Bit by bit, so that NaN equals itself and -0 differs from 0.
bool same(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

bool same(const Checkpoint& a, const Checkpoint& b) {
  if (a.integers != b.integers || a.strings != b.strings || a.tensors.size() != b.tensors.size() ||
      a.reals.size() != b.reals.size())
    return false;
  for (const auto& [name, value] : a.reals)
    if (!b.reals.contains(name) || !same(value, b.reals.at(name))) return false;
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const auto &x = a.tensors[i].tensor, &y = b.tensors[i].tensor;
    if (a.tensors[i].name != b.tensors[i].name || x.dtype() != y.dtype() || !(x.shape() == y.shape()) ||
        x.bytes() != y.bytes() || (x.bytes() > 0 && std::memcmp(x.raw(), y.raw(), x.bytes()) != 0))
      return false;
  }
  return true;
}

TEST(Checkpoint, GivesBackEveryBit) {
  const TemporaryFolder folder;
  const Sample sample;
  save_checkpoint(folder / "a.h5", sample.checkpoint);
  EXPECT_TRUE(same(load_checkpoint(folder / "a.h5"), sample.checkpoint));
  save_checkpoint(folder / "empty.h5", {});
  EXPECT_TRUE(same(load_checkpoint(folder / "empty.h5"), {}));
}

TEST(Checkpoint, HoldsManyTensorsAndIsPlainHdf5) {
  const TemporaryFolder folder;
  Checkpoint checkpoint;
  std::vector<float> values(500);
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i);
    checkpoint.tensors.push_back({fmt::format("model/layer{}/weight", i), {&values[i], DType::f32, {1}}});
  }
  save_checkpoint(folder / "a.h5", checkpoint);
  EXPECT_TRUE(same(load_checkpoint(folder / "a.h5"), checkpoint));
  float value = 0;
  hdf5::File::open(folder / "a.h5").dataset("/model/layer234/weight").read(DType::f32, &value);
  EXPECT_EQ(value, 234);
}

TEST(CheckpointLayout, WritesManyThatDifferInValuesAlone) {
  const TemporaryFolder folder;
  Sample sample;
  const CheckpointLayout layout(sample.checkpoint);
  for (int step = 0; step < 3; ++step) {
    sample.weight[0] = static_cast<float>(step);
    sample.checkpoint.integers["step"] = step;
    sample.checkpoint.reals["best"] = 0.5 * step;
    ASSERT_TRUE(layout.fits(sample.checkpoint));
    const std::string path = folder / fmt::format("{}.h5", step);
    layout.write(path, sample.checkpoint);
    EXPECT_TRUE(same(load_checkpoint_here(path), sample.checkpoint)) << step;
  }
}

TEST(CheckpointLayout, FitsNoOtherKind) {
  const Sample sample;
  const CheckpointLayout layout(sample.checkpoint);
  const auto fits_after = [&](const std::function<void(Checkpoint&)>& change) {
    Checkpoint other = sample.checkpoint;
    change(other);
    return layout.fits(other);
  };
  EXPECT_TRUE(fits_after([](Checkpoint&) {}));
  EXPECT_FALSE(fits_after([](Checkpoint& other) { other.tensors[0].name += "s"; }));
  EXPECT_FALSE(fits_after([](Checkpoint& other) { std::swap(other.tensors[0], other.tensors[1]); }));
  EXPECT_FALSE(fits_after([](Checkpoint& other) { other.tensors.pop_back(); }));
  EXPECT_FALSE(
      fits_after([](Checkpoint& other) { other.tensors[0].tensor = other.tensors[0].tensor.reshaped({6}); }));
  EXPECT_FALSE(fits_after([](Checkpoint& other) { other.integers["more"] = 1; }));
  EXPECT_FALSE(fits_after([](Checkpoint& other) { other.reals.erase("best"); }));
  EXPECT_FALSE(fits_after([](Checkpoint& other) { other.strings["config"] += " "; }));
}

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
  Sample sample;
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
  Sample sample;
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
  const Sample sample;
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

TEST(Checkpoint, KeepsTheOldFileWhenTheNewOneCannotBeWritten) {
  const TemporaryFolder folder;
  const Sample sample;
  Checkpoint small;
  small.integers["step"] = 1;
  save_checkpoint(folder / "a.h5", small);
  {
    const FileSizeLimit limit(50000);
    EXPECT_THAT(data_error_of([&] { save_checkpoint(folder / "a.h5", sample.checkpoint); }),
                AllOf(HasSubstr("a.h5"), HasSubstr("File too large")));
  }
  EXPECT_TRUE(same(load_checkpoint(folder / "a.h5"), small));
  EXPECT_THAT(data_error_of([&] { save_checkpoint(folder / "no/folder/a.h5", small); }),
              HasSubstr("No such file"));
}

TEST(CheckpointDeathTest, SaysThatTheDiskIsFullAndEndsCleanly) {
  const TemporaryFolder folder;
  if (!can_mount_small_disk(folder.path()))
    GTEST_SKIP() << "mounting a small file system is not allowed here";
  const Sample sample;
  EXPECT_EXIT(exit_with_error_of([&] {
                if (!mount_small_disk(folder.path(), 0, "size=64k")) std::exit(99);
                Checkpoint small;
                small.integers["step"] = 1;
                save_checkpoint(folder / "a.h5", small);
                try {
                  save_checkpoint(folder / "a.h5", sample.checkpoint);
                } catch (const Error&) {
                  if (!same(load_checkpoint_here(folder / "a.h5"), small)) std::exit(98);
                  throw;
                }
              }),
              testing::ExitedWithCode(3), "a.h5: cannot write the file: No space left on device");
}

TEST(CheckpointFolder, NamesFilesByStep) {
  EXPECT_EQ(checkpoint_path("run", 42), "run/checkpoints/step-00000042.h5");
  EXPECT_EQ(best_checkpoint_path("run"), "run/checkpoints/best.h5");
  EXPECT_EQ(checkpoint_path("run", 1234567890), "run/checkpoints/step-1234567890.h5");
}

class PublishedCheckpoints : public testing::Test {
 protected:
  PublishedCheckpoints() { std::filesystem::create_directories(folder_ / "checkpoints"); }

  void publish(int64_t step, int keep, double every_minutes = 0) {
    Checkpoint checkpoint;
    checkpoint.integers["step"] = step;
    save_checkpoint(checkpoint_path(folder_.path(), step), checkpoint);
    publish_checkpoint(folder_.path(), checkpoint_path(folder_.path(), step), {keep, every_minutes});
  }
  std::string path(int64_t step) const { return checkpoint_path(folder_.path(), step); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "checkpoints"))
      names.push_back(entry.path().filename());
    return names;
  }

  TemporaryFolder folder_;
};

TEST_F(PublishedCheckpoints, KeepsTheNewestAndTheBest) {
  EXPECT_THAT(find_checkpoints(folder_.path()), IsEmpty());
  EXPECT_FALSE(load_newest_checkpoint(folder_.path()));
  write_raw(best_checkpoint_path(folder_.path()), "best");
  const std::string other = fmt::format(".tmp-{}", getpid() + 1), own = fmt::format(".tmp-{}", getpid());
  for (const std::string file : {"step-00000001.h5", "best.h5", "latest"}) {
    write_raw(folder_ / ("checkpoints/" + file + other), "left by a killed process");
    write_raw(folder_ / ("checkpoints/" + file + own), "just being written");
  }
  for (const int64_t step : {10, 20, 30, 40}) publish(step, 2);
  EXPECT_THAT(files(), UnorderedElementsAre("best.h5", "latest", "step-00000030.h5", "step-00000040.h5",
                                            "step-00000001.h5" + own, "best.h5" + own));
  EXPECT_EQ(content_of(folder_ / "checkpoints/latest"), "step-00000040.h5\n");
  EXPECT_THAT(find_checkpoints(folder_.path()), ElementsAre(path(40), path(30)));
}

TEST_F(PublishedCheckpoints, KeepOneOfSoManyMinutes) {
  using std::chrono::minutes;
  const std::filesystem::file_time_type start = std::filesystem::file_time_type::clock::now() - minutes(200);
  // One every 4 minutes, each as old as it would be.
  for (int64_t i = 1; i <= 20; ++i) {
    publish(i, 2, 10);
    std::filesystem::last_write_time(path(i), start + minutes(4 * i));
  }
  publish(21, 2, 10);
  // 4, 16, 28, ... minutes: the first that is ten minutes younger than the one kept before.
  std::vector<std::string> expected;
  for (const int64_t step : {21, 20, 19, 16, 13, 10, 7, 4, 1}) expected.push_back(path(step));
  EXPECT_THAT(find_checkpoints(folder_.path()), ElementsAreArray(expected));
}

TEST_F(PublishedCheckpoints, OfStepsThatTheRunGaveUpGo) {
  for (const int64_t step : {30, 40, 10}) publish(step, 3);
  EXPECT_THAT(find_checkpoints(folder_.path()), ElementsAre(path(10)));
}

TEST_F(PublishedCheckpoints, AreFoundByNumberWithoutLatest) {
  for (const int64_t step : {9, 20, 100000000}) publish(step, 10);
  write_raw(folder_ / "checkpoints/step-oops.h5", "no checkpoint");
  const auto by_number = ElementsAre(path(100000000), path(20), path(9));
  std::filesystem::remove(folder_ / "checkpoints/latest");
  EXPECT_THAT(find_checkpoints(folder_.path()), by_number);
  for (const std::string useless :
       {"step-00000077.h5\n", "", "\n", "../checkpoints/step-00000009.h5", "best.h5", "\xff\x01garbage"}) {
    write_raw(folder_ / "checkpoints/latest", useless);
    EXPECT_THAT(find_checkpoints(folder_.path()), by_number) << useless;
  }
  write_raw(folder_ / "checkpoints/latest", "step-00000020.h5\n");
  EXPECT_THAT(find_checkpoints(folder_.path()), ElementsAre(path(20), path(100000000), path(9)));
}

TEST_F(PublishedCheckpoints, GiveTheOneBeforeWhenTheNewestIsDamaged) {
  for (const int64_t step : {1, 2, 3, 4}) publish(step, 4);
  write_raw(path(4), "damaged");
  write_raw(path(3), "");
  testing::internal::CaptureStderr();
  const std::optional<LoadedCheckpoint> found = load_newest_checkpoint(folder_.path());
  const std::string log = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, path(2));
  EXPECT_EQ(found->checkpoint.integers.at("step"), 2);
  EXPECT_THAT(log, AllOf(HasSubstr(path(4) + " is not an HDF5 file"), HasSubstr(path(3)),
                         HasSubstr(path(2) + " is used in its place")));
  // One that was named is not replaced by another.
  EXPECT_THAT(data_error_of([&] { load_newest_checkpoint(path(4)); }), HasSubstr(path(4)));
  for (const int64_t step : {1, 2}) write_raw(path(step), "damaged");
  EXPECT_THAT(data_error_of([&] { load_newest_checkpoint(folder_.path()); }),
              AllOf(HasSubstr(path(4)), HasSubstr("None of the 3 older ones")));
}

}  // namespace
}  // namespace lockstep
