#include <gmock/gmock.h>

#include "tests/io/data_files.h"
#include "tests/support/binary.h"
#include "tests/support/run_program.h"

// What crashes libhdf5 in a rank, though the look in a child process went well.

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr H5Z_filter_t kCrashingFilter = 300;

/// x (40, 4) whose chunks went through the crashing filter, and labels.
void write_data(const std::string& path) {
  put(path, "/train/y", {40}, counting<int64_t>(40, 3));
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::open_for_writing(path);
  const std::vector<hsize_t> extents = {40, 4}, chunk = {10, 4};
  const hdf5::Id space(H5Screate_simple(2, extents.data(), nullptr));
  const hdf5::Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_chunk(properties.get(), 2, chunk.data());
  H5Pset_filter(properties.get(), kCrashingFilter, H5Z_FLAG_OPTIONAL, 0, nullptr);
  const hdf5::Id x(H5Dcreate2(file.id(), "/train/x", H5T_IEEE_F32LE, space.get(), H5P_DEFAULT,
                              properties.get(), H5P_DEFAULT));
  const std::vector<float> values(40);
  for (hsize_t row = 0; row < 40; row += 10) {
    const std::vector<hsize_t> offset = {row, 0};
    ASSERT_GE(
        H5Dwrite_chunk(x.get(), H5P_DEFAULT, 0, offset.data(), values.size() * sizeof(float), values.data()),
        0);
  }
}

TEST(DataCrash, ARankThatCrashesInLibhdf5EndsTheRunAsAnErrorInTheData) {
  const TemporaryFolder folder;
  write_data(folder / "a.h5");
  const std::string command =
      "export HDF5_PLUGIN_PATH=" LOCKSTEP_CRASHING_FILTER_FOLDER "; exec " + lockstep_binary() +
      " launch -n 2 -- train --device cpu --run run --set data.train=a.h5:/train --set model.name=mlp "
      "--set model.hidden=[4] --set train.steps=2 --set train.global_batch=4";
  const ProgramResult result = run_program({"bash", "-c", command}, folder / "");
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err,
              HasSubstr("a.h5:/train/x: libhdf5 crashed while reading it, so its data is damaged."));
  EXPECT_THAT(result.err, Not(HasSubstr("restart")));
}

}  // namespace
}  // namespace lockstep
