// data.stage in whole runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

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

/// Runs on two machines of two ranks each, which are names given to this one: every machine has its own file
/// system at `scratch`.
class TwoMachines : public StageRun {
 protected:
  void SetUp() override {
    if (run_program({"unshare", "--uts", "--mount", "true"}, folder_->path()).exit_code != 0)
      GTEST_SKIP() << "needs to give a process another host name";
    for (const char* name : {"machine0", "machine1", "scratch"}) fs::create_directories(*folder_ / name);
    write_raw(agent(),
              "#!/bin/sh\nhost=$1\nshift\nexec unshare --uts --mount sh -c \"hostname $host && "
              "mount --bind '" +
                  folder_->path() + "/$host' '" + (*folder_ / "scratch") + "' && exec $*\"\n");
    fs::permissions(agent(), fs::perms::owner_all);
    // Chunks of 128 KiB without filters.
    const std::string wide = *folder_ / "wide.h5";
    if (fs::exists(wide)) return;
    std::vector<float> x;
    for (int64_t i = 0; i < 4096 * 256; ++i) x.push_back(static_cast<float>((i * 37 + i / 256) % 101) / 101);
    put(wide, "/train/x", {4096, 256}, x, {{128, 256}, 0});
    put(wide, "/train/y", {4096}, counting<int32_t>(4096, 10));
  }

  static std::string train_wide(const std::string& name, bool on_two, std::vector<std::string> more) {
    std::vector<std::string> command = {"mpirun",
                                        "--allow-run-as-root",
                                        "--mca",
                                        "plm_rsh_agent",
                                        agent(),
                                        "--host",
                                        "machine0:2,machine1:2",
                                        "-np",
                                        "4"};
    if (!on_two) command.clear();
    const std::vector<std::string> program = lockstep_command(1, {"train", "--run", *folder_ / name});
    command.insert(command.end(), program.begin(), program.end());
    for (const std::string& setting :
         {"data.train=" + (*folder_ / "wide.h5:/train"), std::string("data.shuffle=local"),
          std::string("data.memory_budget=1 MiB"), std::string("train.global_batch=128"),
          std::string("model.name=mlp"), std::string("run.threads=1"), std::string("run.reproducible=true"),
          std::string("run.device=cpu"), std::string("train.epochs=3")})
      more.insert(more.begin(), {"--set", setting});
    command.insert(command.end(), more.begin(), more.end());
    const ProgramResult result = run_program(command, folder_->path());
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    return hash(events(name));
  }

  /// Bytes on the disk of the copy on a machine.
  static int64_t kept_on(const std::string& machine) {
    for (const auto& entry : fs::directory_iterator(*folder_ / machine)) {
      struct stat status {};
      if (entry.path().extension() == ".kept" && ::stat(entry.path().c_str(), &status) == 0)
        return static_cast<int64_t>(status.st_blocks) * 512;
    }
    return -1;
  }

  static std::string agent() { return *folder_ / "agent"; }
};

TEST_F(TwoMachines, EachNeedsItsPartOfTheDataAndTheBitsAreTheSame) {
  const std::string straight = train_wide("one", false, {});
  const std::vector<std::string> used =
      set({stage("scratch"), "data.stage_part=used", "checkpoint.every_steps=40", "checkpoint.keep=9"});
  EXPECT_EQ(train_wide("two", true, used), straight);
  EXPECT_THAT(log("two"), AllOf(HasSubstr("this one has 0 B"),
                                HasSubstr("this machine reads 50 % of the training data in every epoch, the "
                                          "same each time")));
  // Half of the chunks, each of which begins and ends inside a piece, and what all ranks look at.
  const auto bytes = static_cast<int64_t>(fs::file_size(*folder_ / "wide.h5"));
  for (const char* machine : {"machine0", "machine1"}) {
    EXPECT_GT(kept_on(machine), bytes / 2) << machine;
    EXPECT_LT(kept_on(machine), bytes * 3 / 4) << machine;
  }
  // Resumed in the second epoch, they have all that they need.
  std::vector<std::string> rest = used;
  rest.insert(rest.end(), {"--resume", *folder_ / "two" + "/checkpoints/step-00000040.h5"});
  EXPECT_EQ(train_wide("two_rest", true, rest), straight);
  EXPECT_THAT(log("two_rest"),
              AllOf(Not(HasSubstr("this one has 0 B")), HasSubstr("and 0 B from the original files")));
}

TEST_F(StageRun, HasTheSameBitsAndCopiesOnlyOnce) {
  const std::string straight = hash(train("straight", 1, settings({})));
  EXPECT_EQ(hash(train("staged", 2, settings({stage("local")}))), straight);
  // data.train and data.test are in one file.
  EXPECT_THAT(log("staged"),
              AllOf(HasSubstr("data.stage: 1 file of"), Not(HasSubstr("nothing was missing"))));
  EXPECT_EQ(hash(train("again", 1, settings({stage("local"), "data.memory_budget=100 KiB"}))), straight);
  EXPECT_THAT(log("again"),
              AllOf(HasSubstr("nothing was missing there"), HasSubstr("data: " + (*folder_ / "digits.h5:"))));
  // Each machine has a folder of its own, so what is in another one does not matter.
  EXPECT_EQ(hash(train("elsewhere", 1, settings({stage("other")}))), straight);
  EXPECT_THAT(log("elsewhere"), Not(HasSubstr("nothing was missing")));
}

TEST_F(StageRun, KeepsWhatIsReadAndHasTheSameBits) {
  const std::vector<std::string> streamed = {"data.shuffle=local", "data.memory_budget=100 KiB"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), streamed.begin(), streamed.end());
    return settings(more);
  };
  const std::vector<std::string> used = {stage("used"), "data.stage_part=used", "checkpoint.every_steps=3",
                                         "checkpoint.keep=9"};
  const std::string straight = hash(train("unstaged", 1, with({})));
  EXPECT_EQ(hash(train("used", 2, with(used))), straight);
  EXPECT_THAT(log("used"),
              AllOf(HasSubstr("data.stage: each machine keeps what it reads of 1 file"),
                    HasSubstr("this one has 0 B"),
                    HasSubstr("this machine reads 100 % of the training data in every epoch, the "
                              "same each time")));
  std::vector<std::string> rest = with(used);
  rest.insert(rest.end(), {"--resume", *folder_ / "used" + "/checkpoints/step-00000003.h5"});
  EXPECT_EQ(hash(train("used_rest", 1, rest)), straight);
  // All that is read is there by now.
  EXPECT_EQ(hash(train("used_again", 4, with(used))), straight);
  EXPECT_THAT(log("used_again"),
              AllOf(Not(HasSubstr("this one has 0 B")), HasSubstr("and 0 B from the original files")));
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
