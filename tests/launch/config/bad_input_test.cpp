// What is wrong with data, checkpoints, sizes and disks, given to the real program on one rank and on two:
// each ends in one sentence, the right exit code and nothing half-written. Mistakes of the command line alone
// are in command_line_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <thread>

#include "tests/io/data_files.h"
#include "tests/launch/process/rank_processes.h"
#include "tests/support/await.h"
#include "tests/support/binary.h"
#include "tests/support/run_program.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kSamples = 40;

std::string read_all(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

/// The lines that Lockstep itself wrote to standard error; mpirun adds paragraphs of its own.
std::vector<std::string> errors_in(const std::string& text) {
  static const std::regex ours(R"(^(\[rank \d+\] )?error: .*)");
  std::vector<std::string> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::erase(line, '\0');  // Open MPI 5 puts one behind each paragraph of its own
    if (std::regex_match(line, ours)) found.push_back(line);
  }
  return found;
}

std::vector<std::string> files_below(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    names.push_back(fs::relative(entry.path(), folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

class BadInput : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    fs::create_directory(work());
    make_data();
    make_checkpoints();
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string at(const std::string& name) { return *folder_ / name; }
  /// Where commands run.
  static std::string work() { return at("work"); }

  /// The words of a command, in which '@' stands for the folder of the files below, and TRAIN for a small
  /// training.
  static std::vector<std::string> arguments(const std::string& text) {
    std::string command =
        std::regex_replace(text, std::regex("^TRAIN"),
                           "train --device cpu --set model.name=mlp --set model.hidden=[64] --set "
                           "train.global_batch=8 --set train.epochs=2");
    command = std::regex_replace(command, std::regex("DATA"), "--set data.train=@data.h5:/good");
    return words(std::regex_replace(command, std::regex("@"), at("")));
  }
  static ProgramResult run(const std::string& text, int ranks = 1) {
    return run_program(lockstep_command(ranks, arguments(text)), work());
  }
  /// The same through a shell, after `first`: a limit on what the program may use.
  static ProgramResult run_after(const std::string& first, const std::string& text) {
    std::string command = first + "; exec " + lockstep_binary();
    for (const std::string& word : arguments(text)) command += " '" + word + "'";
    return run_program({"bash", "-c", command}, work());
  }

 private:
  static void make_data() {
    const std::string file = at("data.h5");
    const std::vector<uint8_t> x = counting<uint8_t>(kSamples * 64, 251);
    const std::vector<int64_t> y = counting<int64_t>(kSamples, 3);
    put<uint8_t>(file, "/good/x", {kSamples, 8, 8}, x);
    put<int64_t>(file, "/good/y", {kSamples}, y);
    put<uint8_t>(file, "/short/x", {kSamples, 8, 8}, x);
    put<int64_t>(file, "/short/y", {kSamples - 1}, counting<int64_t>(kSamples - 1, 3));
    put<uint8_t>(file, "/wide/x", {kSamples / 2, 16, 8}, x);
    put<int64_t>(file, "/wide/y", {kSamples / 2}, counting<int64_t>(kSamples / 2, 3));
    std::vector<int64_t> wrong = y;
    wrong[17] = -2;
    put<uint8_t>(file, "/negative/x", {kSamples, 8, 8}, x);
    put<int64_t>(file, "/negative/y", {kSamples}, wrong);
    wrong[17] = 7;
    put<uint8_t>(file, "/outside/x", {kSamples, 8, 8}, x);
    put<int64_t>(file, "/outside/y", {kSamples}, wrong);
    std::vector<float> floats(static_cast<size_t>(kSamples) * 4, 0.5f),
        targets(static_cast<size_t>(kSamples), 1.0f);
    put<float>(file, "/nan_target/x", {kSamples, 4}, floats);
    put<float>(file, "/flat/x", {kSamples, 4}, floats);
    put<int64_t>(file, "/flat/y", {kSamples}, y);
    targets[23] = std::nanf("");
    put<float>(file, "/nan_target/y", {kSamples}, targets);
    floats[5] = std::nanf("");
    put<float>(file, "/nan/x", {kSamples, 4}, floats);
    put<int64_t>(file, "/nan/y", {kSamples}, y);
    put<int64_t>(file, "/empty/y", {0}, {});
    put<uint8_t>(file, "/empty/x", {0, 8, 8}, {});

    const std::string bytes = read_all(file);
    std::ofstream(at("cut.h5"), std::ios::binary) << bytes.substr(0, bytes.size() / 2);
    std::ofstream(at("text.h5")) << "this is no HDF5 file\n";
    fs::create_directory(at("folder"));
    std::ofstream(at("folder/train-images-idx3-ubyte")) << "not MNIST";
    fs::create_directory(at("empty run"));
  }

  static void make_checkpoints() {
    const ProgramResult trained = run("TRAIN DATA --run @run");
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
    const std::string checkpoint = at("run/checkpoints/step-00000010.h5");
    std::string bytes = read_all(checkpoint);
    // The middle of the file lies in a tensor: they are most of it.
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::ofstream(at("flipped.h5"), std::ios::binary) << bytes;
    std::ofstream(at("cut-checkpoint.h5"), std::ios::binary) << bytes.substr(0, 3000);
  }

  static std::unique_ptr<TemporaryFolder> folder_;
};
std::unique_ptr<TemporaryFolder> BadInput::folder_;

struct Row {
  const char* name;
  int ranks;
  const char* command;
  int exit_code;
  const char* error;  ///< regular expression found in the one line of ours on standard error
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.command; }

class BadInputTable : public BadInput, public testing::WithParamInterface<Row> {};

TEST_P(BadInputTable, EndsInOneSentenceAndLeavesNothing) {
  const std::vector<std::string> before = files_below(at(""));
  const ProgramResult result = run(GetParam().command, GetParam().ranks);
  EXPECT_EQ(result.exit_code, GetParam().exit_code) << result.out << result.err;
  const std::vector<std::string> errors = errors_in(result.err);
  ASSERT_EQ(errors.size(), 1u) << result.err;
  EXPECT_TRUE(std::regex_search(errors[0], std::regex(GetParam().error))) << errors[0];
  if (GetParam().ranks == 1) {
    EXPECT_EQ(result.err, errors[0] + "\n");
  }
  EXPECT_EQ(files_below(at("")), before);
}

INSTANTIATE_TEST_SUITE_P(
    Data, BadInputTable,
    testing::Values(
        Row{"Missing", 2, "TRAIN --set data.train=@no.h5:/good", 3, "no.h5 does not exist"},
        Row{"Truncated", 1, "TRAIN --set data.train=@cut.h5:/good", 3, "cut.h5 is truncated"},
        Row{"TruncatedTwoRanks", 2, "TRAIN --set data.train=@cut.h5:/good", 3, "cut.h5 is truncated"},
        Row{"NotHdf5", 2, "TRAIN --set data.train=@text.h5:/good", 3, "text.h5 is not an HDF5 file"},
        Row{"AFolder", 1, "TRAIN --set data.train=@folder:/good", 3, "is a folder, not an HDF5 file"},
        Row{"ADevice", 1, "TRAIN --set data.train=/dev/zero:/good", 3, "is not a regular file"},
        Row{"AbsentDataSet", 1, "TRAIN --set data.train=@data.h5:/god", 3,
            "has no data set /god/x. It has: .*/good/x \\(40, 8, 8\\)"},
        Row{"AbsentTestSet", 2, "TRAIN DATA --set data.test=@data.h5:/test", 3, "has no data set /test/x"},
        Row{"NoSamples", 1, "TRAIN --set data.train=@data.h5:/empty", 3, "/empty/x"},
        Row{"LengthsDiffer", 1, "TRAIN --set data.train=@data.h5:/short", 3,
            "/short/x has 40 samples, but /short/y has 39"},
        Row{"LengthsDifferTwoRanks", 2, "TRAIN --set data.train=@data.h5:/short", 3,
            "40 samples, but /short/y has 39"},
        Row{"NegativeLabel", 2, "TRAIN --set data.train=@data.h5:/negative", 3,
            "/negative/y.*-2.*17|/negative/y.*17.*-2"},
        Row{"LabelOutsideTheClasses", 1, "TRAIN DATA --set data.test=@data.h5:/outside", 3,
            "/outside/y.*(17.*7|7.*17)"},
        Row{"NanInTheSamples", 1, "TRAIN --set data.train=@data.h5:/nan", 3, "/nan/x"},
        Row{"NanInTheSamplesTwoRanks", 2, "TRAIN --set data.train=@data.h5:/nan", 3, "/nan/x"},
        Row{"NanInTheTargets", 1,
            "TRAIN --set data.train=@data.h5:/nan_target --set train.loss=mean_squared_error", 3,
            "/nan_target/y.*23"},
        Row{"OtherShapeInTheTest", 1, "TRAIN DATA --set data.test=@data.h5:/wide", 3, "\\(16, 8\\)"},
        Row{"WrongRankForTheModel", 1, "train --device cpu --set data.train=@data.h5:/flat", 2, "conv1"},
        Row{"CheckFindsNan", 1, "data check @data.h5", 3, "not finite|NaN"},
        Row{"InfoOfTruncated", 1, "data info @cut.h5", 3, "is truncated"},
        Row{"ImportOfNonsense", 1, "data import mnist @folder out.h5", 3, "no file of MNIST's train-labels"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Sizes, BadInputTable,
    testing::Values(
        Row{"BatchOverTheRanks", 2, "TRAIN DATA --set train.global_batch=9", 2,
            "9 does not divide over 2 ranks. Try 8 or 10"},
        Row{"RanksNoPowerOfTwo", 3, "TRAIN DATA --set run.reproducible=true", 2, "power of two"},
        Row{"SyncBatchNormIsNotReproducible", 1,
            "TRAIN DATA --set run.reproducible=true --set train.sync_batch_norm=true", 2,
            "does not go with train.sync_batch_norm"},
        Row{"UnknownKey", 2, "TRAIN DATA --set train.epoch=3", 2, "Did you mean 'train.epochs'"},
        Row{"RunNameIsAPath", 1, "TRAIN DATA --set run.name=../run", 2, "cannot name a folder below runs"},
        Row{"UnknownOption", 2, "TRAIN DATA --wrong", 2, "train has no option '--wrong'"},
        Row{"HugeLayer", 1, "TRAIN DATA --set model.hidden=[2000000000]", 2, "outputs is 2000000000"},
        Row{"HugeModel", 1, "TRAIN DATA --set model.hidden=[1000000,1000000]", 2, "1e\\+12 parameters"},
        Row{"HugeModelShown", 1, "model show mlp --set model.hidden=[1000000,1000000]", 2,
            "1e\\+12 parameters"},
        Row{"BatchBeyondMemory", 1, "TRAIN DATA --set train.global_batch=100000000000", 6,
            "out of host memory"},
        Row{"BatchBeyondMemoryTwoRanks", 2, "TRAIN DATA --set train.global_batch=100000000000", 6,
            "out of host memory"},
        Row{"BenchOfWrongInput", 1, "bench step --device cpu --input 2,2,1", 2, "kernel 3x3 is larger"},
        Row{"BenchOfTooMany", 1, "bench step --device cpu --steps -3", 2,
            "--steps: expects an integer of at least 1, found '-3'"},
        Row{"ShowOfWrongInput", 1, "model show cnn --input 28,x", 2, "--input 28,x"},
        Row{"ShowOfMissing", 1, "model show @no.toml", 2, "no.toml cannot be read"}),
    [](const auto& row) { return row.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, BadInputTable,
    testing::Values(
        Row{"FlippedByte", 1, "TRAIN DATA --resume @flipped.h5 --run new", 3,
            "flipped.h5.*damaged: tensor .* hash"},
        Row{"FlippedByteTwoRanks", 2, "eval @flipped.h5 --device cpu", 3, "damaged: tensor .* hash"},
        Row{"CutCheckpoint", 1, "predict @cut-checkpoint.h5 --data @data.h5:/good --out p.h5", 3,
            "is truncated"},
        Row{"NoCheckpoint", 1, "eval @data.h5", 3, "not a Lockstep checkpoint"},
        Row{"EmptyRunFolder", 2, "eval @folder", 3, "there is no checkpoint in it"},
        Row{"OtherModel", 2, "TRAIN DATA --resume @run --set model.hidden=[32]", 2,
            "model.hidden was \\[64\\], is \\[32\\]"},
        Row{"OtherModelAllowed", 1, "TRAIN DATA --resume @run --allow-changed --set model.hidden=[32]", 3,
            "another model"},
        Row{"OtherClasses", 1, "TRAIN --set data.train=@data.h5:/outside --allow-changed --resume @run", 3,
            "another model"},
        Row{"RunFolderTaken", 1, "TRAIN DATA --run @run", 2, "holds a run already"},
        Row{"EvalOfOtherShape", 2, "eval @run --data @data.h5:/wide", 3, "\\(16, 8\\)"},
        Row{"PredictOfOtherShape", 1, "predict @run --data @data.h5:/wide --out p.h5", 3, "\\(16, 8\\)"},
        Row{"PredictOverItsData", 1, "predict @run --data @data.h5:/good --out @data.h5 --force", 2,
            "which is read"},
        Row{"PredictIntoNoFolder", 2, "predict @run --data @data.h5:/good --out no/p.h5", 3,
            "--out no/p.h5: the folder .*/no does not exist"}),
    [](const auto& row) { return row.param.name; });

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
    for (std::string line; std::getline(lines, line);) last = json::parse(line);
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
  std::vector<std::string> command =
      lockstep_command(2, arguments("TRAIN DATA --set model.hidden=[200000,64] --run @alone"));
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
