#include "launch/run/run_lock.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "src/core/error.h"
#include "tests/launch/run/interrupted_run.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

std::unique_ptr<RunLock> try_take(const std::string& folder) {
  std::string holder;
  return RunLock::try_take(folder, holder);
}

TEST(RunLock, NamesTheProcessThatHoldsTheFolder) {
  const TemporaryFolder folder;
  const auto first = RunLock::take(folder.path(), 0);
  std::string holder;
  EXPECT_EQ(RunLock::try_take(folder.path(), holder), nullptr);
  EXPECT_THAT(holder, StartsWith("process " + std::to_string(getpid()) + " on "));
  EXPECT_THAT(holder, HasSubstr(" since 2"));
  try {
    RunLock::take(folder.path(), 0.1);
    FAIL() << "taken twice";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::usage);
    EXPECT_THAT(error.what(), HasSubstr(folder.path() + " is in use by " + holder));
  }
}

TEST(RunLock, LeavesNothingOfItsOwnBehind) {
  const TemporaryFolder folder;
  const std::string inner = folder / "runs/a";
  { const auto lock = try_take(inner); }
  EXPECT_FALSE(fs::exists(folder / "runs")) << "it was made for nothing";
  {
    const auto lock = try_take(inner);
    fs::create_directory(inner + "/checkpoints");
  }
  EXPECT_TRUE(fs::exists(inner + "/checkpoints"));
  EXPECT_FALSE(fs::exists(inner + "/lock"));
}

TEST(RunLock, IsFreedByACrash) {
  const TemporaryFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    const auto* lock = try_take(folder.path()).release();
    _exit(lock != nullptr ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(fs::exists(folder / "lock"));
  EXPECT_NE(try_take(folder.path()), nullptr);
}

TEST(RunLock, OfManyProcessesOneHasTheFolderAtATime) {
  const TemporaryFolder folder;
  const std::string inner = folder / "runs/a", mark = folder / "mark";
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    for (int turn = 0; turn < 50; ++turn) {
      // Each holder removes the file and the folder that it made, while the others try to take them.
      const auto lock = RunLock::take(inner, 60);
      if (mkdir(mark.c_str(), 0700) != 0 || rmdir(mark.c_str()) != 0) _exit(1);
    }
    _exit(0);
  }
  for (const pid_t child : children) {
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
}

TEST(RunLock, AFolderThatCannotBeMadeIsAnErrorOfTheFileSystem) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "";
  try {
    try_take(folder / "file/runs");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::data);
    EXPECT_THAT(error.what(), HasSubstr("cannot create the run folder " + (folder / "file/runs")));
  }
}

class RunFolderTest : public InterruptedRun {
 protected:
  /// A training whose folder is chosen by its name.
  static std::vector<std::string> named(const std::string& name, const std::vector<std::string>& settings,
                                        const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = command("unused", 1, settings, more);
    const auto run = std::find(words.begin(), words.end(), "--run");
    words.erase(run, run + 2);
    for (const std::string& word : set({"run.name=" + name})) words.push_back(word);
    return words;
  }
};

TEST_F(RunFolderTest, RunsOfOneNameStartedTogetherGetAFolderEach) {
  constexpr int kRuns = 6;
  std::vector<std::thread> runs;
  for (int i = 0; i < kRuns; ++i)
    runs.emplace_back([] {
      const ProgramResult result = run_program(named("twin", {"train.steps=4"}), folder_->path());
      EXPECT_EQ(result.exit_code, 0) << result.err;
    });
  for (std::thread& run : runs) run.join();
  std::set<std::string> hashes;
  for (int i = 1; i <= kRuns; ++i) {
    const std::vector<json> all = events(i == 1 ? "runs/twin" : "runs/twin-" + std::to_string(i));
    ASSERT_FALSE(all.empty()) << i;
    EXPECT_EQ(std::ranges::count(all, "step", [](const json& event) { return event["event"]; }), 4);
    hashes.insert(all.back()["weights_hash"]);
  }
  EXPECT_EQ(hashes.size(), 1u);
}

TEST_F(RunFolderTest, ARunningFolderIsRefusedAndItsHolderNamed) {
  const std::string name = "held", folder = *folder_ / name;
  const ProgramResult first = stop(name, 1, [&] {
    const std::string holder = contents(folder + "/lock");
    for (const std::vector<std::string>& more :
         {std::vector<std::string>{}, {"--resume", "auto"}, {"--resume", folder}}) {
      const ProgramResult second = run_program(command(name, 1, {"train.steps=5"}, more), folder_->path());
      EXPECT_EQ(second.exit_code, 2) << second.out;
      EXPECT_THAT(second.err, HasSubstr("error: " + folder + " is in use by " +
                                        holder.substr(0, holder.find('\n')) + ". Wait until"));
    }
    for (const pid_t process : find_processes(folder)) kill(process, SIGTERM);
  });
  EXPECT_EQ(first.exit_code, 75) << first.err;
  EXPECT_FALSE(fs::exists(folder + "/lock"));
  expect_resumes(name, 2);
}

TEST_F(RunFolderTest, EvaluationNeedsNoLock) {
  const std::string name = "evaluated", folder = *folder_ / name;
  const ProgramResult first = run_and(
      name, command(name, 1, {"train.steps=1000000", "checkpoint.every_steps=500", "checkpoint.keep=1000"}),
      [&] {
        while (!fs::exists(folder + "/checkpoints/latest"))
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        const ProgramResult evaluated = run_program(
            lockstep_command(1, {"eval", folder, "--split", "train", "--device", "cpu"}), folder_->path());
        EXPECT_EQ(evaluated.exit_code, 0) << evaluated.err;
        for (const pid_t process : find_processes(folder)) kill(process, SIGTERM);
      });
  EXPECT_EQ(first.exit_code, 75) << first.err;
}

}  // namespace
}  // namespace lockstep
