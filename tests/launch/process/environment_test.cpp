#include "launch/process/environment.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>

#include "tests/launch/run/whole_run.h"

// What Slurm, and a user without a home, leave in the environment of a process.

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// Sets variables as long as it lives, none other of Slurm's and of MPI's.
class Variables {
 public:
  explicit Variables(std::map<std::string, std::string> values) {
    for (const char* name : {"SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS",
                             "PMIX_RANK", "PMI_RANK", "OMPI_COMM_WORLD_SIZE", "ENVIRONMENT"})
      values.try_emplace(name, "");
    for (const auto& [name, value] : values) {
      const char* before = getenv_of(name);
      before_.emplace(name, before == nullptr ? "" : before);
      set(name, value);
    }
  }
  ~Variables() {
    for (const auto& [name, value] : before_) set(name, value);
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  static const char* getenv_of(const std::string& name) { return std::getenv(name.c_str()); }
  static void set(const std::string& name, const std::string& value) {
    value.empty() ? unsetenv(name.c_str()) : setenv(name.c_str(), value.c_str(), 1);
  }
  std::map<std::string, std::string> before_;
};

LauncherFacts facts(std::map<std::string, std::string> values) {
  const Variables variables(std::move(values));
  return read_environment().launcher;
}

TEST(LauncherFactsTest, TasksOfASlurmStepAreRanks) {
  const LauncherFacts four = facts(
      {{"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "3"}, {"SLURM_NTASKS", "8"}, {"SLURM_STEP_NUM_TASKS", "4"}});
  EXPECT_EQ(four.launcher, "srun");
  EXPECT_EQ(four.slurm_tasks, 4);
  EXPECT_EQ(four.slurm_rank, 3);
  EXPECT_FALSE(four.slurm_serves_mpi);
}

TEST(LauncherFactsTest, SeveralTasksWithoutAStepAreRanksToo) {
  for (const std::string rank : {"0", "1", "3"}) {
    const LauncherFacts four = facts({{"SLURM_PROCID", rank}, {"SLURM_NTASKS", "4"}});
    EXPECT_EQ(four.launcher, "srun") << rank;
    EXPECT_EQ(four.slurm_tasks, 4) << rank;
    EXPECT_FALSE(four.slurm_serves_mpi) << rank;
  }
}

TEST(LauncherFactsTest, ABatchScriptIsNoTask) {
  for (const std::string step : {"4294967291", ""}) {
    const LauncherFacts script = facts(
        {{"SLURM_STEP_ID", step}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"ENVIRONMENT", "BATCH"}});
    EXPECT_EQ(script.launcher, "") << step;
    EXPECT_EQ(script.slurm_tasks, 0) << step;
  }
}

TEST(LauncherFactsTest, AShellOnALoneTaskIsLikeOneOutsideOfSlurm) {
  const std::map<std::string, std::string> shell = {
      {"SLURM_STEP_ID", "0"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}};
  const LauncherFacts lone = facts(shell);
  EXPECT_EQ(lone.launcher, "");
  EXPECT_EQ(lone.slurm_tasks, 0);
  EXPECT_TRUE(lone.lone_slurm_task);
  std::map<std::string, std::string> served = shell;
  served["PMIX_RANK"] = "0";
  EXPECT_EQ(facts(served).launcher, "srun");
}

TEST(EnvironmentTest, ARelativeCacheFolderIsIgnored) {
  const Variables variables({{"XDG_CACHE_HOME", "relative"}, {"HOME", "/home/someone"}});
  EXPECT_EQ(read_environment().cache_folder, "/home/someone/.cache/lockstep");
}

class UnusualEnvironment : public WholeRun {
 protected:
  static ProgramResult run(std::vector<std::string> environment, const std::vector<std::string>& arguments) {
    const std::vector<std::string> command = lockstep_command(1, arguments);
    environment.insert(environment.begin(), "env");
    environment.insert(environment.end(), command.begin(), command.end());
    return run_program(environment, folder_->path());
  }
  static std::vector<std::string> training(const std::string& name) {
    std::vector<std::string> words = {"train", "--run", *folder_ / name, "--device", "cpu"};
    for (const std::string& word :
         set({"data.train=" + (*folder_ / "digits.h5") + ":/train", "model.name=mlp", "train.steps=2"}))
      words.push_back(word);
    return words;
  }
};

TEST_F(UnusualEnvironment, FourCopiesOfSlurmWithoutAStepAreRefused) {
  for (const std::string rank : {"0", "3"}) {
    const ProgramResult result =
        run({"SLURM_NTASKS=4", "SLURM_PROCID=" + rank, "SLURM_JOB_ID=1"}, training("copies"));
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr(rank == "0" ? "srun did not inform MPI of its 4 tasks" : ""));
  }
  EXPECT_FALSE(fs::exists(*folder_ / "copies"));
}

TEST_F(UnusualEnvironment, AShellOnALoneTaskOfSlurmTrainsAndLaunches) {
  const std::vector<std::string> shell = {
      "SLURM_NTASKS=1", "SLURM_STEP_NUM_TASKS=1", "SLURM_PROCID=0",          "SLURM_STEP_ID=0",
      "SLURM_JOB_ID=1", "SLURM_JOBID=1",          "SLURM_NODELIST=localhost"};
  const ProgramResult alone = run(shell, training("alone"));
  EXPECT_EQ(alone.exit_code, 0) << alone.err;
}

TEST_F(UnusualEnvironment, ACacheFolderThatCannotBeUsedIsNamed) {
  std::ofstream(*folder_ / "file") << "";
  const std::string cache = "XDG_CACHE_HOME=" + *folder_ / "file/cache";
  EXPECT_EQ(run({cache}, {"doctor"}).exit_code, 0);
  const ProgramResult result = run({cache}, {"train", "--device", "cpu", "--set", "train.steps=1"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err,
              HasSubstr("error: cannot create the cache folder " + *folder_ / "file/cache/lockstep"));
}

TEST_F(UnusualEnvironment, ADeletedCurrentFolderIsNamed) {
  fs::create_directory(*folder_ / "deleted");
  std::vector<std::string> command = {"sh", "-c", "cd deleted && rmdir ../deleted && exec \"$@\"", "sh"};
  for (const std::string& word : lockstep_command(1, training("nowhere"))) command.push_back(word);
  const ProgramResult result = run_program(command, folder_->path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(
      result.err,
      "error: the current folder cannot be used (it was deleted): change to another one with cd first.\n");
}

TEST_F(UnusualEnvironment, LaunchGivesMpirunAHomeWhereThereIsNone) {
  fs::create_directory(*folder_ / "bin");
  std::ofstream(*folder_ / "bin/mpirun") << "#!/bin/sh\necho \"HOME=$HOME\"\n";
  fs::permissions(*folder_ / "bin/mpirun", fs::perms::owner_all);
  const ProgramResult result = run({"-u", "HOME", "PATH=" + (*folder_ / "bin") + ":/usr/bin:/bin"},
                                   {"launch", "-n", "2", "model", "list"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, testing::MatchesRegex("HOME=/.*\n"));
}

TEST_F(UnusualEnvironment, LaunchNeedsNoSeparator) {
  for (const std::vector<std::string>& start :
       {std::vector<std::string>{"launch", "-n", "2", "--restarts", "0"}, {"launch", "-n2", "--bind=none"}}) {
    std::vector<std::string> words = start;
    for (const std::string& word : training("plain" + start[1])) words.push_back(word);
    const ProgramResult result = run({"OMPI_ALLOW_RUN_AS_ROOT=1"}, words);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("finished"));
  }
}

TEST_F(UnusualEnvironment, LaunchPrintsTheErrorOfARankAlone) {
  std::vector<std::string> words = {"launch", "-n", "2"};
  for (const std::string& word : training("quiet")) words.push_back(word);
  for (const std::string& word : set({"data.train=none.h5"})) words.push_back(word);
  const ProgramResult result = run({"OMPI_ALLOW_RUN_AS_ROOT=1"}, words);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("[rank 0] error: "));
}

}  // namespace
}  // namespace lockstep
