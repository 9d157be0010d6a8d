#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "src/core/text/json.h"
#include "tests/io/temporary_folder.h"
#include "tests/support/run_program.h"

namespace lockstep {

/// Whole trainings by the real program. One data set for all tests of a process: drawing it takes longer than
/// a test.
class WholeRun : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const ProgramResult made = run_program(
        lockstep_command(
            1, {"data", "synth", "digits", *folder_ / "digits.h5", "--train", "1000", "--test", "300"}),
        folder_->path());
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  using json = nlohmann::json;

  /// Trains in the run folder `name` on `device` and returns the events of its metrics.jsonl.
  static std::vector<json> train(const std::string& name, int ranks, std::vector<std::string> more,
                                 const std::string& device = "cpu") {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / name};
    for (const std::string& setting : {"data.train=" + (*folder_ / "digits.h5") + ":/train",
                                       "data.test=" + (*folder_ / "digits.h5") + ":/test",
                                       std::string("train.global_batch=128"), "run.device=" + device}) {
      arguments.push_back("--set");
      arguments.push_back(setting);
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<std::string> command = lockstep_command(ranks, arguments);
    // Only an emulated GPU is shown this way; a real one needs no telling.
    if (device == "cuda") command.insert(command.begin(), {"env", "LOCKSTEP_EMULATED_GPUS=4"});
    const ProgramResult result = run_program(command, folder_->path());
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    return events(name);
  }

  static std::vector<json> events(const std::string& name) {
    std::ifstream file(*folder_ / name + "/metrics.jsonl");
    std::vector<json> result;
    for (std::string line; std::getline(file, line);) result.push_back(parse_json(line));
    return result;
  }

  /// The bytes of each tensor of a run's newest checkpoint.
  static std::map<std::string, std::vector<std::byte>> tensors_of(const std::string& run) {
    const std::optional<LoadedCheckpoint> loaded = load_newest_checkpoint(run);
    std::map<std::string, std::vector<std::byte>> tensors;
    for (const Checkpoint::Named& named : loaded->checkpoint.tensors) {
      const auto* bytes = static_cast<const std::byte*>(named.tensor.raw());
      tensors[named.name] = {bytes, bytes + named.tensor.bytes()};
    }
    return tensors;
  }

  static std::vector<std::string> set(std::vector<std::string> settings) {
    std::vector<std::string> arguments;
    for (const std::string& setting : settings) {
      arguments.push_back("--set");
      arguments.push_back(setting);
    }
    return arguments;
  }

  static inline std::unique_ptr<TemporaryFolder> folder_;
};

/// Batch norm, dropout, a short last batch and augmenting nothing: all that could depend on the ranks.
inline const char* const kModel = R"(
[[layer]]
kind = "conv2d"
filters = 8
kernel = 3
[[layer]]
kind = "batch_norm"
[[layer]]
kind = "relu"
[[layer]]
kind = "max_pool2d"
window = 2
[[layer]]
kind = "flatten"
[[layer]]
kind = "dropout"
rate = 0.3
[[layer]]
kind = "linear"
outputs = "classes"
)";

}  // namespace lockstep
