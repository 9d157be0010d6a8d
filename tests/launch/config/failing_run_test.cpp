// Runs that end early: by wrong data, a full disk, a signal, a rank that fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "src/core/text/json.h"
#include "tests/launch/config/bad_input.h"
#include "tests/launch/process/rank_processes.h"
#include "tests/support/await.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST_F(BadInput, CheckNamesTheFileOnceWhateverIsWrongWithIt) {
  const TemporaryFolder folder;
  const std::string file = folder / "two.h5";
  for (const char* name : {"/a/x", "/b/x"}) put<float>(file, name, {1}, {std::nanf("")});
  const ProgramResult result = run("data check " + file);
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err, "error: " + file +
                            ":/a/x holds NaN or infinity in 1 of 1 values, the first in sample 0. " +
                            "/b/x holds NaN or infinity in 1 of 1 values, the first in sample 0.\n");
}

TEST_F(BadInput, NoCudaDeviceIsSaidOnceByTwoRanks) {
  const ProgramResult result = run("train DATA --device cuda", 2);
  if (result.exit_code == 0) GTEST_SKIP() << "there are two GPUs";
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(errors_in(result.err), testing::ElementsAre(testing::HasSubstr("a GPU was requested, but")));
}

TEST_F(BadInput, HostileFilesEndInOneSentence) {
  for (const std::string name :
       {"gh-4432-poc-05", "cve-2016-4330", "cve-2018-11206-new", "cve-2021-46244", "gh-4585"}) {
    const std::string file = LOCKSTEP_SHARED_DATA "/hostile-hdf5/" + name + ".h5";
    if (!fs::exists(file)) GTEST_SKIP() << "hostile-hdf5 is absent";
    const ProgramResult result = run("TRAIN --set data.train=" + file + ":/x");
    EXPECT_EQ(result.exit_code, 3) << name << result.err;
    EXPECT_EQ(errors_in(result.err).size(), 1u) << name << result.err;
    EXPECT_THAT(files_below(work()), testing::IsEmpty());
  }
}

TEST_F(BadInput, ALossThatIsNotFiniteIsTheEndOfTheRun) {
  for (const int ranks : {1, 2}) {
    const std::string name = "diverged-" + std::to_string(ranks);
    const ProgramResult result = run("TRAIN DATA --set optimizer.lr=1e30 --run @" + name, ranks);
    EXPECT_EQ(result.exit_code, 5) << result.err;
    EXPECT_THAT(
        errors_in(result.err),
        testing::ElementsAre(testing::ContainsRegex("the loss is nan .* at step [0-9]+ \\(epoch 1\\)")));
    std::istringstream lines(read_all(at(name + "/metrics.jsonl")));
    json last;
    for (std::string line; std::getline(lines, line);) last = parse_json(line);
    EXPECT_EQ(last["event"], "end");
    EXPECT_EQ(last["reason"], "diverged");
    fs::remove_all(at(name));
  }
}

TEST_F(BadInput, AFullDiskLeavesTheLastGoodCheckpoint) {
  ASSERT_EQ(run("TRAIN DATA --run @full").exit_code, 0);
  const std::string latest = read_all(at("full/checkpoints/latest"));
  const std::vector<std::string> before = files_below(at("full"));
  // Enough for the metrics, and for nothing of the size of a checkpoint.
  const std::string more = "TRAIN DATA --run @full --resume auto --set train.epochs=4";
  const ProgramResult failed = run_after("ulimit -f 16", more);
  EXPECT_EQ(failed.exit_code, 3) << failed.err;
  EXPECT_THAT(errors_in(failed.err),
              testing::ElementsAre(testing::ContainsRegex("step-00000015.h5.*too large")));
  EXPECT_EQ(read_all(at("full/checkpoints/latest")), latest);
  EXPECT_EQ(files_below(at("full")), before);

  const ProgramResult resumed = run(more);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(read_all(at("full/checkpoints/latest")), testing::HasSubstr("step-00000020.h5"));
  fs::remove_all(at("full"));
}

TEST_F(BadInput, WhatCannotBePrintedIsNoSuccess) {
  const ProgramResult result =
      run_program({"bash", "-c", lockstep_binary() + " model list > /dev/full"}, work());
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.err, "error: cannot write to standard output: No space left on device\n");
  const ProgramResult closed = run_program(
      {"bash", "-c", lockstep_binary() + " data check " + at("data.h5") + " --json | head -1"}, work());
  EXPECT_EQ(closed.out, "{\n");
}

TEST_F(BadInput, ASignalToMpirunEndsEveryRank) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string name = "signal-" + std::to_string(signal);
    std::thread sender([&] {
      EXPECT_TRUE(await([&] { return fs::exists(at(name) + "/checkpoints/latest"); }));
      const pid_t mpirun = parent_of(parent_of(find_rank(0, at(name))));
      EXPECT_GT(mpirun, 1);
      if (mpirun > 1) kill(mpirun, signal);
    });
    const ProgramResult result =
        run("TRAIN DATA --set train.epochs=10000000 --set checkpoint.every_steps=3 --run @" + name, 2);
    sender.join();
    EXPECT_NE(result.exit_code, 137) << "it had to be killed";
    EXPECT_TRUE(await([&] { return find_processes(at(name)).empty(); }));
    // What it had written is whole.
    const ProgramResult resumed =
        run("TRAIN DATA --resume auto --allow-changed --set train.steps=1 --run @" + name);
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    fs::remove_all(at(name));
  }
}

#ifndef __SANITIZE_ADDRESS__  // which needs more address space than the limit leaves
TEST_F(BadInput, ARankThatFailsAloneEndsTheOthers) {
  // Its buffers alone are larger than the limit. If they fit, MPI may be what lacks memory.
  std::vector<std::string> command =
      lockstep_command(2, arguments("TRAIN DATA --set model.hidden=[400000,64] --run @alone"));
  const auto program = std::find(command.begin(), command.end(), lockstep_binary());
  command.insert(program,
                 {"bash", "-c", "[ $OMPI_COMM_WORLD_RANK = 0 ] || ulimit -v 600000; exec \"$0\" \"$@\""});
  const ProgramResult result = run_program(command, work());
  EXPECT_EQ(result.exit_code, 6) << result.err;
  EXPECT_THAT(errors_in(result.err), testing::ElementsAre(testing::StartsWith("[rank 1] error: out of")));
  EXPECT_FALSE(fs::exists(at("alone")));
}
#endif

}  // namespace
}  // namespace lockstep
