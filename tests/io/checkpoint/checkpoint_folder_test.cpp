#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "tests/io/files.h"
#include "tests/io/temporary_folder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

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
