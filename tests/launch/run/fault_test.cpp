#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "tests/launch/process/rank_processes.h"
#include "tests/launch/run/whole_run.h"
#include "tests/support/await.h"
#include "tests/support/binary.h"

// What happens to real ranks: they are killed, stopped, delayed, or leave; see also
// tests/comm/watch/verdict_test.cpp.

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr double kTimeout = 3;

class FaultTest : public WholeRun {
 protected:
  struct Outcome {
    ProgramResult result;
    pid_t victim = 0;
  };

  /// An endless `lockstep train` on four ranks, in the run folder `name`.
  static std::vector<std::string> endless_run(const std::string& name) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / name};
    for (const std::string& setting :
         set({"data.train=" + (*folder_ / "digits.h5") + ":/train", "model.name=mlp", "run.device=cpu",
              "run.threads=1", "train.epochs=1000000", "checkpoint.every_epochs=0", timeout()}))
      arguments.push_back(setting);
    return lockstep_command(4, arguments);
  }
  static std::string timeout() { return "comm.timeout_seconds=" + std::to_string(kTimeout); }

  /// Runs a command; when its rank has written a few steps, does something to a rank of it.
  static Outcome run_with_fault(const std::string& name, const std::vector<std::string>& command, int rank,
                                const std::function<void(pid_t)>& fault) {
    Outcome outcome;
    std::atomic<bool> over = false;
    std::thread saboteur([&] {
      // Not parsed: the newest line may be half there.
      const auto steps = [&] {
        return std::ranges::count(contents(*folder_ / name + "/metrics.jsonl"), '\n');
      };
      while (!over && steps() < 3) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      outcome.victim = find_rank(rank, *folder_ / name);
      if (outcome.victim > 0) fault(outcome.victim);
    });
    outcome.result = run_program(command, folder_->path());
    over = true;
    saboteur.join();
    EXPECT_GT(outcome.victim, 0) << outcome.result.out << outcome.result.err;
    return outcome;
  }

  static Outcome stop_or_kill(const std::string& name, int rank, int signal) {
    return run_with_fault(name, endless_run(name), rank, [signal](pid_t victim) { kill(victim, signal); });
  }

  /// A process that was killed may still be ending when mpirun has.
  static void expect_nothing_left(const std::string& name) {
    EXPECT_TRUE(await([&] { return find_processes(*folder_ / name).empty(); }));
  }

  /// Runs the program of tests/train/control/fault_program.cpp on four ranks.
  static ProgramResult fault_program(const std::string& fault, const std::string& name,
                                     const std::string& device = "cpu", const std::string& more = timeout()) {
    std::vector<std::string> command = lockstep_command(4, {});
    command.back() = LOCKSTEP_FAULT_PROGRAM;
    for (const std::string& argument :
         {fault, *folder_ / name, "data.train=" + (*folder_ / "digits.h5") + ":/train",
          std::string("model.name=mlp"), std::string("run.threads=1"), std::string("train.steps=40"),
          "run.device=" + device, more})
      command.push_back(argument);
    if (device == "cuda") command.insert(command.begin(), {"env", "LOCKSTEP_EMULATED_GPUS=4"});
    return run_program(command, folder_->path());
  }
};

TEST_F(FaultTest, AStoppedRankEndsTheRunAndIsNamed) {
  const Outcome outcome = stop_or_kill("stopped", 2, SIGSTOP);
  EXPECT_EQ(outcome.result.exit_code, 4);
  EXPECT_THAT(outcome.result.err, HasSubstr("[rank 0] error: rank 2 has sent no status for 3 s"));
  EXPECT_THAT(outcome.result.err, HasSubstr(std::to_string(outcome.victim))) << "the table names its process";
  expect_nothing_left("stopped");
}

TEST_F(FaultTest, AKilledRankEndsTheRunAtOnceAndIsNamed) {
  const Outcome outcome = stop_or_kill("killed", 2, SIGKILL);
  EXPECT_EQ(outcome.result.exit_code, 4);
  EXPECT_THAT(outcome.result.err, HasSubstr("error: rank 2 was killed (SIGKILL)"));
}

TEST_F(FaultTest, AKilledRankEndsTheRunWhereTheLauncherLetsTheOthersLive) {
  std::vector<std::string> command = endless_run("survivors");
  command.insert(command.begin() + 1, "--enable-recovery");
  const Outcome outcome =
      run_with_fault("survivors", command, 2, [](pid_t victim) { kill(victim, SIGKILL); });
  EXPECT_THAT(outcome.result.err, HasSubstr("error: rank 2 was killed (SIGKILL)"));
  EXPECT_THAT(outcome.result.err, HasSubstr("[rank 0] error: rank 2 has sent no status for 3 s"));
  expect_nothing_left("survivors");
}

TEST_F(FaultTest, ACrashIsReportedAsSuch) {
  // Not SIGSEGV, which a sanitizer takes for itself.
  const Outcome outcome = stop_or_kill("crashed", 2, SIGABRT);
  EXPECT_EQ(outcome.result.exit_code, 128 + SIGABRT);
}

TEST_F(FaultTest, TheEndOfMpirunIsTheEndOfAll) {
  const std::string name = "interrupted";
  const Outcome outcome = run_with_fault(name, endless_run(name), 2, [](pid_t victim) {
    // mpirun is the parent of the rank's parent.
    kill(parent_of(parent_of(victim)), SIGINT);
  });
  EXPECT_EQ(outcome.result.exit_code, 1);
  EXPECT_THAT(outcome.result.err, Not(HasSubstr("hangs")));
  expect_nothing_left(name);
}

TEST_F(FaultTest, ARankWatchesTheOneThatWatches) {
  const Outcome outcome = stop_or_kill("watcher", 0, SIGSTOP);
  EXPECT_EQ(outcome.result.exit_code, 4);
  EXPECT_THAT(outcome.result.err, HasSubstr("[rank 1] error: rank 0 has sent no status for 3 s"));
  expect_nothing_left("watcher");
}

TEST_F(FaultTest, ARankThatGoesOnInTimeIsForgiven) {
  std::vector<std::string> command = endless_run("forgiven");
  for (const std::string& setting : set({"train.epochs=1", "train.steps=1000", "comm.timeout_seconds=60"}))
    command.push_back(setting);
  const Outcome outcome = run_with_fault("forgiven", command, 2, [](pid_t victim) {
    kill(victim, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    kill(victim, SIGCONT);
  });
  EXPECT_EQ(outcome.result.exit_code, 0) << outcome.result.err;
  EXPECT_THAT(outcome.result.err, Not(HasSubstr("hangs")));
  EXPECT_EQ(events("forgiven").back()["event"], "end");
}

TEST_F(FaultTest, ADelayBeyondTheTimeoutEndsTheRun) {
  const ProgramResult result = fault_program("delay-80", "delayed");
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("[rank 0] error: rank 2 has made no progress for 3 s: it reports."));
}

#ifdef LOCKSTEP_EMULATED_CUDA
TEST_F(FaultTest, RanksWhoseGpusWaitForTheDelayedOneAreNotAtFault) {
  const ProgramResult result = fault_program("delay-80", "delayed-gpu", "cuda");
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr("[rank 0] error: rank 2 has made no progress for 3 s: it reports."));
  EXPECT_THAT(result.err, HasSubstr("waits for its GPU"));
}
#endif

TEST_F(FaultTest, AShorterDelayDoesNot) {
  const ProgramResult result =
      fault_program("delay-1.2", "shortly-delayed", "cpu", "comm.timeout_seconds=60");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("finished after 40 steps"));
  EXPECT_THAT(result.err, Not(HasSubstr("hangs")));
}

TEST_F(FaultTest, ARankThatLeavesTheLoopEndsTheRun) {
  const ProgramResult result = fault_program("leave", "left");
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err,
              HasSubstr("[rank 0] error: rank 2 has left the training while the others still wait for it"));
}

TEST_F(FaultTest, AnErrorOfOneRankIsWhatEndsTheRun) {
  const ProgramResult result = fault_program("throw", "thrown");
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("[rank 2] error: this rank gives up"));
  EXPECT_THAT(result.err, Not(HasSubstr("hangs")));
}

TEST_F(FaultTest, UnevenShardsCountEverySampleOnce) {
  // 1000 samples in batches of 96 over four ranks: of the last 40, the ranks have 24, 16, 0 and 0. The
  // weights hardly move, so the mean loss over the epoch is that of the weights over all samples.
  std::vector<std::string> command = endless_run("uneven");
  for (const std::string& setting :
       set({"train.epochs=1", "train.global_batch=96", "optimizer.name=sgd", "optimizer.lr=1e-30"}))
    command.push_back(setting);
  const ProgramResult trained = run_program(command, folder_->path());
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const ProgramResult evaluated = run_program(
      lockstep_command(1, {"eval", *folder_ / "uneven", "--split", "train", "--json"}), folder_->path());
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  const double expected = parse_json(evaluated.out).at("loss");
  const std::vector<json> all = events("uneven");
  const auto epoch = std::ranges::find_if(all, [](const json& event) { return event["event"] == "epoch"; });
  ASSERT_NE(epoch, all.end());
  EXPECT_NEAR(epoch->at("train_loss"), expected, 1e-6 * expected);
}

TEST_F(FaultTest, RanksMustSeeTheSameData) {
  const std::string other = *folder_ / "other";
  fs::create_directory(other);
  const ProgramResult made = run_program(
      lockstep_command(1, {"data", "synth", "digits", "digits.h5", "--train", "900", "--test", "300"}),
      other);
  ASSERT_EQ(made.exit_code, 0) << made.err;
  // The same path on every rank, but in the folder that it is in. (-wdir for some ranks alone crashes the
  // mpirun of Open MPI 5.0.7.)
  std::vector<std::string> command = endless_run("different");  // mpirun ... -np 4 lockstep train ...
  for (const std::string& setting : set({"data.train=/proc/self/cwd/digits.h5:/train"}))
    command.push_back(setting);
  const std::string move = "test $OMPI_COMM_WORLD_RANK != 2 || cd '" + other + "'; exec \"$0\" \"$@\"";
  const auto program = std::find(command.begin(), command.end(), lockstep_binary());
  command.insert(program, {"sh", "-c", move});
  const ProgramResult result = run_program(command, folder_->path());
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("rank 2 sees 900 samples where rank 0 sees 1000"));
  EXPECT_FALSE(fs::exists(*folder_ / "different")) << "nothing is left behind";
}

}  // namespace
}  // namespace lockstep
