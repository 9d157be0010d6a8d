#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "tests/launch/run/interrupted_run.h"
#include "tests/support/binary.h"

// `lockstep launch` with real ranks; see also restart_policy_test.cpp.

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class LaunchTest : public InterruptedRun {
 protected:
  /// `lockstep launch -n RANKS OPTIONS -- train ...`, an endless run in the folder `name`.
  static std::vector<std::string> launch(int ranks, const std::vector<std::string>& options,
                                         const std::vector<std::string>& train) {
    std::vector<std::string> words = {lockstep_binary(), "launch", "-n", std::to_string(ranks)};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), train.begin() + 1, train.end());
    return words;
  }
  static std::vector<std::string> endless(const std::string& name, const std::string& every_steps = "10") {
    return command(name, 1, {"train.steps=1000000", "checkpoint.every_steps=" + every_steps});
  }

  /// The process that started mpirun.
  static pid_t launcher_of(const std::string& mark, int rank = 0) {
    return parent_of(parent_of(parent_of(find_rank(rank, mark))));
  }
  /// Waits for a rank that is another process than `old`, and for its first steps.
  static pid_t await_new_rank(int rank, const std::string& mark, pid_t old, const std::string& name) {
    const std::string metrics = *folder_ / name + "/metrics.jsonl";
    fs::file_time_type before = fs::last_write_time(metrics);
    bool is_new = false;
    for (int i = 0; i < 30000; ++i) {  // ten minutes: a busy machine only takes longer
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      const pid_t now = find_rank(rank, mark);
      if (now == 0 || now == old || !catches_signal(now, SIGUSR1)) continue;
      const fs::file_time_type written = fs::last_write_time(metrics);
      if (is_new && written != before) return now;
      if (!is_new) before = written;
      is_new = true;
    }
    ADD_FAILURE() << "no new rank " << rank;
    return 0;
  }
};

TEST_F(LaunchTest, ALostRankIsNamedAndTheRunGoesOnFromItsNewestCheckpoint) {
  const std::string name = "lost", mark = *folder_ / name;
  const ProgramResult result = run_and(name, launch(2, {"--backoff", "0.1"}, endless(name)), [&] {
    while (!fs::exists(mark + "/checkpoints/latest"))
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const pid_t victim = find_rank(1, mark), launcher = launcher_of(mark);
    ASSERT_GT(launcher, 1);
    kill(victim, SIGKILL);
    await_new_rank(1, mark, victim, name);
    kill(launcher, SIGTERM);
  });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.err, HasSubstr("launch: rank 1 was killed (SIGKILL)"));
  EXPECT_THAT(result.err, HasSubstr("launch: restart 1 of 3 in 0.1 s, from " + mark + "/checkpoints/step-"));
  EXPECT_THAT(result.out, HasSubstr("resuming from " + mark));
  EXPECT_THAT(result.out, HasSubstr("preempted (SIGUSR1)"));
  expect_resumes(name, 4);
}

TEST_F(LaunchTest, ARestartStaysInTheFolderOfItsRunAndSurvivesTheEndOfMpirun) {
  // Without --run a second run of the same name gets a new folder, and a third would too.
  std::vector<std::string> train = endless("unused", "0");
  const auto run = std::find(train.begin(), train.end(), "--run");
  train.erase(run, run + 2);
  for (const std::string& setting : set({"run.name=numbered"})) train.push_back(setting);
  fs::create_directories(*folder_ / "runs/numbered/checkpoints");
  const std::string mark = "run.name=numbered", folder = "runs/numbered-2";
  const ProgramResult result = run_and(folder, launch(2, {"--backoff", "0"}, train), [&] {
    const pid_t rank = find_rank(0, mark), launcher = launcher_of(mark);
    ASSERT_GT(launcher, 1);
    kill(parent_of(parent_of(rank)), SIGKILL);
    await_new_rank(0, mark, rank, folder);
    EXPECT_NE(kill(rank, 0), 0) << "the old ranks are gone before the new ones start";
    kill(launcher, SIGINT);
  });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.err, HasSubstr("restart 1 of 3 in 0 s, from the beginning"));
  EXPECT_FALSE(fs::exists(*folder_ / "runs/numbered-3"));
  EXPECT_EQ(events(folder).back().at("reason"), "preempted");
}

TEST_F(LaunchTest, WithoutProgressItGivesUp) {
  const std::string name = "hopeless", mark = *folder_ / name;
  const ProgramResult result =
      run_and(name, launch(2, {"--restarts", "1", "--backoff", "0"}, endless(name, "0")), [&] {
        const pid_t first = find_rank(0, mark);
        kill(first, SIGKILL);
        const pid_t second = await_new_rank(0, mark, first, name);
        if (second > 1) kill(second, SIGKILL);
      });
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_THAT(result.err,
              HasSubstr("launch: gave up after 1 restart without a new checkpoint: rank 0 was killed"));
}

TEST_F(LaunchTest, ARankThatCrashesIsNamed) {
  const std::string name = "crashed", mark = *folder_ / name;
  // Not SIGSEGV, which a sanitizer takes for itself.
  const ProgramResult result = run_and(name, launch(2, {"--restarts", "0"}, endless(name)),
                                       [&] { kill(find_rank(1, mark), SIGABRT); });
  EXPECT_EQ(result.exit_code, 128 + SIGABRT) << result.err;
  EXPECT_THAT(result.err, HasSubstr("error: rank 1 crashed: signal 6 (Aborted)"));
  EXPECT_THAT(result.err, Not(HasSubstr("restart")));
}

TEST_F(LaunchTest, AnOlderCheckpointThatWasNamedStaysTheStartUntilTheRunHasItsOwn) {
  const std::string name = "older", mark = *folder_ / name, old = mark + "/checkpoints/step-00000002.h5";
  const ProgramResult made =
      run_program(command(name, 1, {"train.steps=4", "checkpoint.every_steps=2"}, {}), folder_->path());
  ASSERT_EQ(made.exit_code, 0) << made.err;
  std::vector<std::string> train = endless(name, "0");
  train.insert(train.end(), {"--allow-changed", "--resume", old});
  const ProgramResult result = run_and(name, launch(2, {"--backoff", "0"}, train), [&] {
    // The steps of the first run were there before.
    const pid_t rank = await_new_rank(1, mark, 0, name);
    const pid_t launcher = launcher_of(mark);
    kill(rank, SIGKILL);
    await_new_rank(1, mark, rank, name);
    kill(launcher, SIGTERM);
  });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.err, HasSubstr("restart 1 of 3 in 0 s, from " + old));
  EXPECT_THAT(result.out, Not(HasSubstr("step-00000004")));
}

TEST_F(LaunchTest, MoreRanksThanCoresCanBeBoundToo) {
  for (const std::string bind : {"none", "core"}) {
    const ProgramResult result =
        run_program(launch(5, {"--bind", bind},
                           {"", "bench", "allreduce", "--device", "cpu", "--max", "8", "--repeats", "1"}),
                    folder_->path());
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
  const ProgramResult result =
      run_program(launch(2, {"--bind", "tape"}, {"", "model", "list"}), folder_->path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--bind tape: choose none, core, socket or numa"));
}

TEST_F(LaunchTest, WithoutMpirunItSaysWhatToInstall) {
  std::vector<std::string> words = launch(2, {}, {"", "model", "list"});
  words.insert(words.begin(), {"/usr/bin/env", "PATH=" + *folder_ / "empty"});
  const ProgramResult result = run_program(words, folder_->path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("cannot start mpirun: No such file or directory. Install Open MPI"));
}

TEST_F(LaunchTest, WhatIsWrongInTheRunItselfIsNotTriedAgain) {
  const std::vector<std::string> train = {"", "train", "--run", *folder_ / "wrong", "--device", "cpu"};
  for (const auto& [setting, code] : {std::pair{"model.nam=mlp", 2}, std::pair{"data.train=none.h5", 3}}) {
    std::vector<std::string> words = train;
    for (const std::string& word : set({setting})) words.push_back(word);
    const ProgramResult result = run_program(launch(2, {}, words), folder_->path());
    EXPECT_EQ(result.exit_code, code) << result.err;
    EXPECT_THAT(result.err, Not(HasSubstr("restart")));
  }
}

TEST_F(LaunchTest, ASecondInterruptEndsAtOnce) {
  const std::string name = "impatient", mark = *folder_ / name;
  const ProgramResult result = run_and(name, launch(2, {}, endless(name)), [&] {
    const pid_t launcher = launcher_of(mark);
    ASSERT_GT(launcher, 1);
    kill(find_rank(1, mark), SIGSTOP);  // so that no step ends in between
    kill(launcher, SIGINT);
    while (signal_is_pending(launcher, SIGINT)) std::this_thread::yield();
    kill(launcher, SIGINT);
  });
  EXPECT_EQ(result.exit_code, 130) << result.err;
  EXPECT_TRUE(find_processes(mark).empty());
}

TEST_F(LaunchTest, AnyCommandRunsOnce) {
  const ProgramResult summed = run_program(
      launch(2, {}, {"", "bench", "allreduce", "--device", "cpu", "--max", "64", "--repeats", "1", "--json"}),
      folder_->path());
  EXPECT_EQ(summed.exit_code, 0) << summed.err;
  EXPECT_EQ(parse_json(summed.out).at("ranks"), 2);
  EXPECT_EQ(run_program(launch(2, {}, {"", "bench", "nothing"}), folder_->path()).exit_code, 2);
}

TEST_F(LaunchTest, IsNotForRanksThemselves) {
  std::vector<std::string> words = launch(2, {}, {"", "model", "list"});
  words.insert(words.begin(), {"env", "OMPI_COMM_WORLD_SIZE=2"});
  const ProgramResult result = run_program(words, folder_->path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("mpirun runs already: launch starts the ranks itself"));
}

}  // namespace
}  // namespace lockstep
