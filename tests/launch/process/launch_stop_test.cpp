#include <gmock/gmock.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>

#include "tests/launch/run/interrupted_run.h"
#include "tests/support/binary.h"

// A request to stop `lockstep launch` at moments at which mpirun or the ranks cannot take it: each mpirun
// here waits at one of them until the test has made its request.

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class LaunchStopTest : public InterruptedRun {
 protected:
  static std::string real_mpirun() {
    std::istringstream folders(std::getenv("PATH"));
    for (std::string folder; std::getline(folders, folder, ':');)
      if (fs::exists(folder + "/mpirun")) return folder + "/mpirun";
    return "";
  }

  /// A folder whose `mpirun` is this shell script. "await" in it tells the test that it has come so far,
  /// and waits until the test has made its request.
  static std::string launcher(const std::string& name, const std::string& script) {
    const std::string folder = *folder_ / name + "-bin";
    fs::create_directory(folder);
    std::ofstream(folder + "/mpirun") << "#!/bin/sh\n"
                                         "await() {\n"
                                         "  echo $PPID > " +
                                             folder +
                                             "/here\n"
                                             "  while [ ! -e " +
                                             folder +
                                             "/go ]; do sleep 0.01; done\n"
                                             "}\n" +
                                             script + "\n";
    fs::permissions(folder + "/mpirun", fs::perms::owner_all);
    return folder;
  }

  /// Runs `lockstep launch -n 2` with that launcher and sends it SIGTERM, or makes another request, when the
  /// script says so.
  static ProgramResult run_and_stop(const std::string& name, const std::string& script,
                                    const std::vector<std::string>& settings, int number = SIGTERM) {
    const std::string folder = launcher(name, script);
    std::vector<std::string> words = {"env",
                                      "PATH=" + folder + ":" + std::getenv("PATH"),
                                      lockstep_binary(),
                                      "launch",
                                      "-n",
                                      "2",
                                      "--restarts",
                                      "0",
                                      "--"};
    const std::vector<std::string> train = command(name, 1, settings);
    words.insert(words.end(), train.begin() + 1, train.end());
    std::atomic<bool> over = false;
    std::thread other([&] {
      std::string text;
      while (!over && (text = contents(folder + "/here")).find('\n') == std::string::npos)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (over) return;
      const pid_t launch = std::stoi(text);
      kill(launch, number);
      while (signal_is_pending(launch, number)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      std::ofstream(folder + "/go") << "";
    });
    ProgramResult result = run_program(words, folder_->path(), 90);
    over = true;
    other.join();
    return result;
  }

  static void expect_stopped_at_the_start(const std::string& name, const ProgramResult& result) {
    EXPECT_EQ(result.exit_code, 75) << result.out << result.err;
    EXPECT_TRUE(fs::exists(*folder_ / name + "/checkpoints/step-00000000.h5"));
    expect_resumes(name, 1);
  }

  static inline const std::vector<std::string> kEndless = {"train.steps=1000000"};
};

TEST_F(LaunchStopTest, BeforeMpirunCanTakeSignalsWaitsForTheRanks) {
  expect_stopped_at_the_start("early",
                              run_and_stop("early", "await; exec " + real_mpirun() + " \"$@\"", kEndless));
}

TEST_F(LaunchStopTest, BeforeTheRanksCanTakeSignalsWaitsForThem) {
  // mpirun starts a shell for each rank, which any signal would end.
  const std::string folder = *folder_ / "ranks-bin", rank = folder + "/rank";
  const std::string script = "cat > " + rank +
                             " <<'END'\n"
                             "#!/bin/sh\n"
                             "[ $OMPI_COMM_WORLD_RANK = 1 ] && echo $LAUNCH > " +
                             folder +
                             "/here\n"
                             "while [ ! -e " +
                             folder +
                             "/go ]; do sleep 0.01; done\n"
                             "exec \"$@\"\n"
                             "END\n"
                             "chmod +x " +
                             rank +
                             "; export LAUNCH=$PPID\n"
                             "for word; do\n"
                             "  shift\n"
                             "  [ \"$word\" = " +
                             lockstep_binary() + " ] && set -- \"$@\" " + rank +
                             "\n"
                             "  set -- \"$@\" \"$word\"\n"
                             "done\n"
                             "exec " +
                             real_mpirun() + " \"$@\"";
  expect_stopped_at_the_start("ranks", run_and_stop("ranks", script, kEndless));
}

TEST_F(LaunchStopTest, AtTheEndOfMpirunLeavesTheExitCodeOfTheRun) {
  // As mpirun when it no longer hands signals on, but is there.
  const ProgramResult result = run_and_stop(
      "late", "" + real_mpirun() + " \"$@\"; code=$?; await; kill -USR1 $$; exit $code", {"train.steps=3"});
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("finished"));
}

TEST_F(LaunchStopTest, BetweenTwoTriesEndsWithTheCodeOfTheLastOne) {
  // The request comes when the ranks are lost already, and nothing is started any more.
  const std::string folder = *folder_ / "between-bin";
  const ProgramResult result =
      run_and_stop("between", "echo x >> " + folder + "/starts; await; kill -KILL $$", kEndless);
  EXPECT_EQ(result.exit_code, 137) << result.err;
  EXPECT_EQ(contents(folder + "/starts"), "x\n");
}

TEST_F(LaunchStopTest, ASecondInterruptEndsAtOnceWhateverHangs) {
  const std::string folder = *folder_ / "hangs-bin";
  const ProgramResult result = run_and_stop("hangs", "await; kill -INT $PPID; sleep 600", kEndless, SIGINT);
  EXPECT_EQ(result.exit_code, 130) << result.err;
}

TEST_F(LaunchStopTest, ARankTakesSignalsFromItsVeryBeginning) {
  // Long arguments are read for a while before the command runs.
  const std::string name = "beginning";
  std::vector<std::string> words = command(name, 2, kEndless);
  for (int i = 0; i < 3000; ++i) words.insert(words.end(), {"--set", "run.threads=1"});
  std::atomic<bool> over = false;
  std::thread other([&] {
    pid_t rank = 0;
    while (!over && rank == 0) {
      const std::set<pid_t> found = find_processes(*folder_ / name, "OMPI_COMM_WORLD_RANK=0");
      // The process that supervises the rank, which takes signals from before it has made the rank.
      for (const pid_t process : found)
        if (found.contains(parent_of(process)) && !found.contains(parent_of(parent_of(process))))
          rank = parent_of(process);
    }
    if (rank != 0) kill(rank, SIGUSR1);
  });
  const ProgramResult result = run_program(words, folder_->path(), 90);
  over = true;
  other.join();
  EXPECT_EQ(result.exit_code, 75) << result.err;
  EXPECT_TRUE(fs::exists(*folder_ / name + "/checkpoints/latest"));
}

}  // namespace
}  // namespace lockstep
