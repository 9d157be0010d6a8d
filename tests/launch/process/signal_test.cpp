#include <gmock/gmock.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "tests/launch/run/interrupted_run.h"

// Signals to real processes; see also tests/train/control/mpi_preemption_test.cpp.

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

class SignalTest : public InterruptedRun {
 protected:
  /// How long a job is given that is to end in the middle of its training: what starting and stopping it
  /// take here and now, several times over, and the 5 s that a run keeps in hand.
  static int64_t seconds_of_a_job(const std::string& name) {
    const auto start = std::chrono::steady_clock::now();
    const ProgramResult result = run_program(command(name + "-trial", 2, {"train.steps=5"}), folder_->path());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const std::chrono::duration<double> trial = std::chrono::steady_clock::now() - start;
    return 6 + static_cast<int64_t>(4 * trial.count());
  }
};

TEST_F(SignalTest, EachSignalSavesAndEndsOneRankWith75) {
  const struct {
    int signal;
    std::string name;
  } cases[] = {{SIGTERM, "SIGTERM"},
               {SIGINT, "SIGINT"},
               {SIGUSR1, "SIGUSR1"},
               {SIGUSR2, "SIGUSR2"},
               {SIGHUP, "SIGHUP"}};
  for (const auto& [signal, name] : cases) {
    const ProgramResult result = stop(name, 1, [&, number = signal, run = name] {
      // Without mpirun there is no rank to look for, but only one process with this folder in its arguments.
      for (const pid_t process : find_processes(*folder_ / run)) kill(process, number);
    });
    EXPECT_EQ(result.exit_code, 75) << result.err;
    EXPECT_THAT(result.out, HasSubstr("preempted (" + name + ") at step"));
    EXPECT_THAT(result.out, HasSubstr("--resume auto"));
  }
  expect_resumes("SIGTERM", 2);
}

TEST_F(SignalTest, AHangupThatNohupIgnoresStopsNothing) {
  std::vector<std::string> train = command("nohup", 1, {"train.steps=1000000"});
  train.insert(train.begin(), "nohup");
  const ProgramResult result = run_and("nohup", train, [&] {
    for (const int number : {SIGHUP, SIGUSR1})
      for (const pid_t process : find_processes(*folder_ / "nohup")) kill(process, number);
  });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.out, HasSubstr("preempted (SIGUSR1)"));
}

TEST_F(SignalTest, OneRankThatIsSignalledStopsAll) {
  for (const int ranks : {2, 4}) {
    const std::string name = "one-of-" + std::to_string(ranks);
    const ProgramResult result = stop(name, ranks, [&] { kill(rank_of(name, ranks - 1), SIGUSR1); });
    EXPECT_EQ(result.exit_code, 75) << result.err;
    EXPECT_THAT(result.out, HasSubstr("preempted (requested by another rank)"));
    expect_resumes(name, 6 - ranks);
  }
}

TEST_F(SignalTest, AllRanksCanBeSignalledAtOnce) {
  const ProgramResult result = stop("all", 4, [&] {
    for (int rank = 0; rank < 4; ++rank) kill(rank_of("all", rank), SIGTERM);
  });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  expect_resumes("all", 2);
}

TEST_F(SignalTest, TheProcessThatSupervisesARankForwardsSignals) {
  const ProgramResult result =
      stop("forwarded", 2, [&] { kill(parent_of(rank_of("forwarded", 0)), SIGTERM); });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.out, HasSubstr("preempted (SIGTERM)"));
  expect_resumes("forwarded", 1);
}

TEST_F(SignalTest, MpirunForwardsTheUserSignals) {
  const ProgramResult result =
      stop("mpirun", 2, [&] { kill(parent_of(parent_of(rank_of("mpirun", 0))), SIGUSR2); });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.out, HasSubstr("preempted (SIGUSR2)"));
  expect_resumes("mpirun", 4);
}

TEST_F(SignalTest, AnInterruptOfTheWholeGroupCountsOnce) {
  // Rank 1 stands still, so no step can end before both have come.
  const ProgramResult result = stop("group", 2, [&] {
    const pid_t still = rank_of("group", 1), rank = rank_of("group", 0);
    kill(still, SIGSTOP);
    kill(-getpgid(rank), SIGINT);
    // Until the parent has taken it, which it then forwards.
    while (signal_is_pending(parent_of(rank), SIGINT)) std::this_thread::yield();
    kill(still, SIGCONT);
  });
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.err, HasSubstr("interrupted: stopping after this step"));
  expect_resumes("group", 2);
}

TEST_F(SignalTest, ARunEndsBeforeItsSlurmJobDoes) {
  const int64_t seconds = seconds_of_a_job("job");
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto end = std::chrono::duration_cast<std::chrono::seconds>(now).count() + seconds;
  std::vector<std::string> train = command("job", 2, {"train.steps=1000000"});
  train.insert(train.begin(), {"env", "SLURM_JOB_END_TIME=" + std::to_string(end)});
  const ProgramResult result = run_program(train, folder_->path());
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.out, HasSubstr("preempted (the time is up at "));
  expect_resumes("job", 1);
}

TEST_F(SignalTest, AJobEndInThePastAndAnUnreadableOneCountNothing) {
  for (const std::string value : {"1700000000", "soon", "-5", ""}) {
    std::vector<std::string> train = command("past" + value, 1, {"train.steps=5"});
    train.insert(train.begin(), {"env", "SLURM_JOB_END_TIME=" + value});
    EXPECT_EQ(run_program(train, folder_->path()).exit_code, 0);
  }
}

TEST_F(SignalTest, WallTimeFromTheConfigEndsARunToo) {
  const std::string minutes = std::to_string(static_cast<double>(seconds_of_a_job("wall")) / 60);
  const ProgramResult result = run_program(
      command("wall", 1, {"train.steps=1000000", "run.wall_time_minutes=" + minutes}), folder_->path());
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_THAT(result.out, HasSubstr("preempted (the time is up at "));
  expect_resumes("wall", 2);
}

TEST_F(SignalTest, ASecondInterruptEndsAtOnce) {
  const ProgramResult result = stop("twice", 2, [&] {
    const pid_t rank = rank_of("twice", 0);
    kill(rank_of("twice", 1), SIGSTOP);
    kill(rank, SIGINT);
    while (signal_is_pending(rank, SIGINT)) std::this_thread::yield();
    kill(rank, SIGINT);
  });
  EXPECT_EQ(result.exit_code, 130) << result.err;
  await_none(*folder_ / "twice");
}

}  // namespace
}  // namespace lockstep
