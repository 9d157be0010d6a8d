// What happens to a run whose checkpoints cannot be written or read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "src/ops/supported.h"
#include "tests/io/files.h"
#include "tests/launch/process/rank_processes.h"
#include "tests/launch/run/whole_run.h"
#include "tests/support/await.h"
#include "tests/support/binary.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CheckpointFault : public WholeRun {
 protected:
  /// `lockstep train` of a small network in the run folder `name`, with a checkpoint every 4 of 8 steps an
  /// epoch.
  static std::vector<std::string> training(const std::string& name,
                                           const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / name};
    for (const std::string& word :
         set({"data.train=" + (*folder_ / "digits.h5") + ":/train", "data.validation_split=0.1",
              "model.name=mlp", "model.hidden=[16]", "run.device=cpu", "run.threads=1",
              "train.global_batch=128", "checkpoint.every_steps=4", "checkpoint.keep=4"}))
      arguments.push_back(word);
    for (const std::string& word : set(settings)) arguments.push_back(word);
    return arguments;
  }
  static ProgramResult run(const std::vector<std::string>& arguments, int ranks = 1) {
    return run_program(lockstep_command(ranks, arguments), folder_->path());
  }
  static std::vector<std::string> resumed(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--resume", "auto"});
    return arguments;
  }
  static std::string hash(const std::string& name) { return events(name).back()["weights_hash"]; }
  static std::string checkpoints(const std::string& name) { return *folder_ / name + "/checkpoints"; }

  /// Runs a command and does something to its run folder once it has published a checkpoint.
  static ProgramResult run_and_harm(const std::string& name, const std::vector<std::string>& command,
                                    const std::function<void()>& harm) {
    std::atomic<bool> over = false;
    std::thread saboteur([&] {
      while (!over && !fs::exists(checkpoints(name) + "/latest"))
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      harm();
    });
    const ProgramResult result = run_program(command, folder_->path());
    over = true;
    saboteur.join();
    return result;
  }

  /// At one stroke: a folder in which a file appears meanwhile cannot be removed.
  static void remove_at_once(const std::string& folder) {
    fs::rename(folder, folder + "-removed");
    fs::remove_all(folder + "-removed");
  }

  /// Runs a shell script as root in a mount namespace; skips the test where that is not allowed.
  static ProgramResult run_with_mounts(const std::string& script) {
    return run_program({"unshare", "--mount", "--propagation", "private", "bash", "-c", script},
                       folder_->path());
  }
  static bool may_mount() {
    const std::string folder = *folder_ / "mount";
    fs::create_directories(folder);
    return run_with_mounts("mount -t tmpfs -o size=64k none '" + folder + "'").exit_code == 0;
  }
  static std::string shell(const std::vector<std::string>& arguments) {
    std::string command = lockstep_binary();
    for (const std::string& word : arguments) command += " '" + word + "'";
    return command;
  }
};

TEST_F(CheckpointFault, ADeletedFolderEndsTheRunWithItsName) {
  for (const int ranks : {1, 2}) {
    const std::string name = "deleted-" + std::to_string(ranks);
    const ProgramResult result =
        run_and_harm(name, lockstep_command(ranks, training(name, {"train.epochs=100000"})),
                     [&] { remove_at_once(checkpoints(name)); });
    EXPECT_EQ(result.exit_code, 3) << result.err;
    EXPECT_THAT(result.err,
                AllOf(HasSubstr("error: " + checkpoints(name)), HasSubstr("No such file or directory"),
                      HasSubstr("Does its folder exist?")));
  }
}

TEST_F(CheckpointFault, ADeletedLatestIsMadeAgain) {
  const std::string run = *folder_ / "latest-run", latest = checkpoints("latest-run") + "/latest";
  const ProgramResult result =
      run_and_harm("latest-run", lockstep_command(1, training("latest-run", {"train.epochs=100000"})), [&] {
        fs::remove(latest);
        EXPECT_TRUE(await([&] { return fs::exists(latest); }));
        for (const pid_t process : find_processes(run)) kill(process, SIGTERM);
      });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  const int64_t step = events("latest-run").back()["step"];
  EXPECT_EQ(content_of(latest), fmt::format("step-{:08}.h5\n", step));
}

TEST_F(CheckpointFault, AFullDiskEndsTheRunAndLeavesWhatWasSaved) {
  if (!may_mount()) GTEST_SKIP() << "mounting is not allowed here";
  // Each file has some 190 KiB. The last lines show that nothing half-written is left, and that the newest
  // one loads.
  const std::string folder = *folder_ / "full";
  const ProgramResult result = run_with_mounts(
      "mkdir -p '" + folder + "/checkpoints'; mount -t tmpfs -o size=1m none '" + folder + "/checkpoints'; " +
      shell(training("full", {"train.epochs=100000", "checkpoint.keep=1000"})) +
      " --resume auto; code=$?; ls '" + folder + "/checkpoints'; " + lockstep_binary() + " eval '" + folder +
      "' --split validation --device cpu >&2 && exit $code");
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("error: " + folder + "/checkpoints/"),
                                HasSubstr("No space left on device"), HasSubstr("Free some space")));
  EXPECT_THAT(result.out, AllOf(HasSubstr("latest"), HasSubstr("step-00000004.h5"), Not(HasSubstr(".tmp-"))));
}

TEST_F(CheckpointFault, AFolderThatBecomesReadOnlyEndsTheRun) {
  if (!may_mount()) GTEST_SKIP() << "mounting is not allowed here";
  const std::string folder = checkpoints("readonly");
  // A file that is being written keeps the folder from it: again until it works.
  const ProgramResult result = run_with_mounts(
      "mkdir -p '" + folder + "'; mount --bind '" + folder + "' '" + folder + "'; (until [ -e '" + folder +
      "/latest' ]; do sleep 0.01; done; until mount -o remount,bind,ro '" + folder +
      "' 2>/dev/null; do :; done) & " + shell(training("readonly", {"train.epochs=100000"})) +
      " --resume auto");
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("error: " + folder), HasSubstr("Read-only file system"),
                                HasSubstr("Choose a folder that you may write to")));
}

TEST_F(CheckpointFault, ALostPermissionEndsTheRun) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  const ProgramResult result = run_and_harm(
      "forbidden", lockstep_command(1, training("forbidden", {"train.epochs=100000"})),
      [&] { fs::permissions(checkpoints("forbidden"), fs::perms::owner_read | fs::perms::owner_exec); });
  fs::permissions(checkpoints("forbidden"), fs::perms::owner_all);
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("Permission denied"));
}

TEST_F(CheckpointFault, ADamagedNewestOneIsReplacedOnAllRanks) {
  ASSERT_EQ(run(training("damaged", {"train.steps=14"})).exit_code, 0);
  const std::string newest = checkpoints("damaged") + "/step-00000014.h5";
  std::string bytes = content_of(newest);
  bytes[bytes.size() / 2] ^= 4;
  write_raw(newest, bytes);

  std::vector<std::string> arguments = training("other", {"train.steps=24"});
  arguments.insert(arguments.end(), {"--resume", newest});
  const ProgramResult refused = run(arguments, 2);
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr(newest), HasSubstr("is damaged: tensor")));

  const ProgramResult evaluated =
      run({"eval", *folder_ / "damaged", "--split", "validation", "--device", "cpu"}, 2);
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.out, HasSubstr("step-00000012.h5"));
  EXPECT_THAT(evaluated.err, HasSubstr(newest));

  const ProgramResult result = run(resumed(training("damaged", {"train.steps=24"})), 2);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("warning: " + newest), HasSubstr("is damaged: tensor"),
                                HasSubstr("step-00000012.h5 is used in its place")));
  EXPECT_EQ(events("damaged").back()["step"], 24);
}

TEST_F(CheckpointFault, ACutNewestOneFallsBackToTheSameBits) {
  ASSERT_EQ(run(training("whole", {"train.steps=20"})).exit_code, 0);
  ASSERT_EQ(run(training("cut", {"train.steps=14"})).exit_code, 0);
  const std::string newest = checkpoints("cut") + "/step-00000014.h5";
  fs::resize_file(newest, fs::file_size(newest) / 3);
  const ProgramResult result = run(resumed(training("cut", {"train.steps=20"})));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr(newest), HasSubstr("is truncated")));
  EXPECT_EQ(hash("cut"), hash("whole"));
}

TEST_F(CheckpointFault, WeightsThatAreNotFiniteAreNeverSaved) {
  // The loss of the only step is finite, and what it makes of the weights is not.
  const std::vector<std::string> settings = {"train.steps=1", "optimizer.name=sgd", "optimizer.lr=1e30",
                                             "optimizer.weight_decay=1e30"};
  const auto expect_not_saved = [&](const std::string& name, const std::vector<std::string>& more,
                                    int ranks) {
    std::vector<std::string> all = settings;
    all.insert(all.end(), more.begin(), more.end());
    const ProgramResult result = run(training(name, all), ranks);
    EXPECT_EQ(result.exit_code, 5) << result.err;
    EXPECT_THAT(result.err, HasSubstr("has non-finite values after step 1"));
    EXPECT_TRUE(fs::is_empty(checkpoints(name)));
    EXPECT_EQ(events(name).back()["reason"], "diverged");
  };
  expect_not_saved("infinite", {}, 1);
  // Rank 0 alone finds it out, but has to report a hash of weights that are on both.
  if (why_unsupported({}, Precision::bf16).empty())
    expect_not_saved("infinite-sharded", {"run.precision=bf16", "optimizer.sharded=true"}, 2);
}

}  // namespace
}  // namespace lockstep
