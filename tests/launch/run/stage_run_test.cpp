// data.stage in whole runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "io/hdf5/hdf5.h"
#include "tests/io/data_files.h"
#include "tests/io/files.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class StageRun : public WholeRun {
 protected:
  static std::vector<std::string> settings(const std::vector<std::string>& more) {
    std::vector<std::string> all = {"model.name=mlp", "run.threads=1", "run.reproducible=true",
                                    "train.steps=6"};
    all.insert(all.end(), more.begin(), more.end());
    return set(all);
  }
  static std::string hash(const std::vector<json>& events) { return events.back().at("weights_hash"); }
  static std::string log(const std::string& run) { return content_of(*folder_ / run + "/log.txt"); }
  static std::string stage(const std::string& name) { return "data.stage=" + (*folder_ / name); }
};

TEST_F(StageRun, HasTheSameBitsAndCopiesOnlyOnce) {
  const std::string straight = hash(train("straight", 1, settings({})));
  EXPECT_EQ(hash(train("staged", 2, settings({stage("local")}))), straight);
  // data.train and data.test are in one file.
  EXPECT_THAT(log("staged"), AllOf(HasSubstr("data.stage: 1 file of"), Not(HasSubstr("copied 0.0 MiB"))));
  EXPECT_EQ(hash(train("again", 1, settings({stage("local"), "data.memory_budget=100 KiB"}))), straight);
  EXPECT_THAT(log("again"),
              AllOf(HasSubstr("copied 0.0 MiB"), HasSubstr("data: " + (*folder_ / "digits.h5:"))));
  // Each machine has a folder of its own, so what is in another one does not matter.
  EXPECT_EQ(hash(train("elsewhere", 1, settings({stage("other")}))), straight);
  EXPECT_THAT(log("elsewhere"), Not(HasSubstr("copied 0.0 MiB")));
}

TEST_F(StageRun, ResumesFromTheOriginalFiles) {
  const std::string straight = hash(train("whole", 1, settings({})));
  train("begun", 2, settings({stage("local"), "checkpoint.every_steps=3", "checkpoint.keep=9"}));
  std::vector<std::string> rest = settings({"checkpoint.every_steps=3", "checkpoint.keep=9"});
  rest.insert(rest.end(), {"--resume", *folder_ / "begun" + "/checkpoints/step-00000003.h5"});
  EXPECT_EQ(hash(train("rest", 1, rest)), straight);
}

TEST_F(StageRun, FilesThatNeedOthersAreReadWhereTheyAre) {
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::create(*folder_ / "linked.h5");
    ASSERT_GE(H5Lcreate_external("digits.h5", "/train", file.id(), "train", H5P_DEFAULT, H5P_DEFAULT), 0);
  }
  const std::string straight = hash(train("direct", 1, settings({})));
  EXPECT_EQ(
      hash(train("linked", 2, settings({stage("links"), "data.train=" + (*folder_ / "linked.h5:/train")}))),
      straight);
  EXPECT_THAT(log("linked"),
              AllOf(HasSubstr((*folder_ / "linked.h5") + " is read where it is, because its values "
                                                         "also lie in other files"),
                    HasSubstr("data.stage: 1 file of")));
}

}  // namespace
}  // namespace lockstep
