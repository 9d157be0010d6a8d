#include "io/checkpoint/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "io/checkpoint/checkpoint_here.h"
#include "io/checkpoint/checkpoint_layout.h"
#include "io/hdf5/hdf5.h"
#include "tests/io/checkpoint/sample_checkpoint.h"
#include "tests/io/files.h"
#include "tests/io/limited_disk.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Checkpoint, GivesBackEveryBit) {
  const TemporaryFolder folder;
  const SampleCheckpoint sample;
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
  SampleCheckpoint sample;
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
  const SampleCheckpoint sample;
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

TEST(Checkpoint, KeepsTheOldFileWhenTheNewOneCannotBeWritten) {
  const TemporaryFolder folder;
  const SampleCheckpoint sample;
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
  const SampleCheckpoint sample;
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

}  // namespace
}  // namespace lockstep
