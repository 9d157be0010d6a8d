// What a training allocates is what was planned, and what `model show` says of it.
#include <gmock/gmock.h>

#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "src/device/devices.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

/// Seven residual blocks: 54 layers.
constexpr const char* kDeep = R"(
layer = [
  { kind = "conv2d", name = "stem", filters = 4, kernel = 5, stride = 3 },
  { block = "residual", name = "trunk", repeat = 7 },
  { kind = "flatten" },
  { kind = "linear", outputs = 24 },
  { kind = "relu" },
  { kind = "linear", outputs = "classes" },
]
[block.residual]
layers = [
  { kind = "conv2d", name = "conv1", filters = 4, kernel = 3, padding = 1, bias = false },
  { kind = "batch_norm", name = "norm1" },
  { kind = "relu" },
  { kind = "conv2d", name = "conv2", filters = 4, kernel = 3, padding = 1, bias = false },
  { kind = "batch_norm", name = "norm2" },
  { kind = "add", inputs = ["norm2", "input"] },
  { kind = "relu" },
]
)";

/// Short trainings: an emulated GPU is slow.
class MemoryRun : public WholeRun {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const ProgramResult made = run_program(
        lockstep_command(
            1, {"data", "synth", "digits", *folder_ / "digits.h5", "--train", "64", "--test", "16"}),
        folder_->path());
    ASSERT_EQ(made.exit_code, 0) << made.err;
    std::ofstream(*folder_ / "deep.toml") << kDeep;
  }

  static json shown(const std::string& name) {
    // A run on an emulated GPU is shown as it was trained.
    std::vector<std::string> command = lockstep_command(1, {"model", "show", *folder_ / name, "--json"});
    command.insert(command.begin(), {"env", "LOCKSTEP_EMULATED_GPUS=4"});
    const ProgramResult result = run_program(command, folder_->path());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return parse_json(result.out);
  }

  static void expect_near(const json& bytes, const json& expected, const std::string& what) {
    const auto one = bytes.get<double>(), other = expected.get<double>();
    EXPECT_GT(one, 0) << what;
    EXPECT_NEAR(one, other, 0.05 * other) << what;
  }

  /// Trains and compares what was planned, shown and allocated.
  static void check(const std::string& name, const std::string& device, int ranks,
                    const std::vector<std::string>& more) {
    std::vector<std::string> settings = {"train.steps=2", "train.global_batch=16", "run.threads=2"};
    settings.insert(settings.end(), more.begin(), more.end());
    const json end = train(name, ranks, set(settings), device).back();
    const json& memory = end.at("memory");
    expect_near(memory["allocated_bytes"], memory["planned_bytes"], name + ": the run");
    const bool on_gpu = device == "cuda";
    EXPECT_EQ(memory["allocated_device_bytes"].get<int64_t>() > 0, on_gpu);
    if (on_gpu) {
      expect_near(memory["allocated_device_bytes"], memory["planned_device_bytes"], name + ": on the GPU");
      EXPECT_GE(end["peak_device_bytes"].get<int64_t>(), memory["weights_bytes"].get<int64_t>());
    }
    if (ranks > 1) return;  // it is shown for one
    const json show = shown(name);
    expect_near(show["memory"]["total_bytes"], memory["allocated_bytes"], name + ": model show");
    EXPECT_EQ(show["memory"]["micro_batch"], 16 / show["memory"]["micro_batches"].get<int>());
    EXPECT_EQ(show["run_memory"], memory);
  }
  static void check_models(const std::string& device, int ranks) {
    const std::string tail = "-" + device + std::to_string(ranks);
    check("mlp" + tail, device, ranks, {"model.name=mlp"});
    check("cnn" + tail, device, ranks, {"model.name=cnn", "train.micro_batch=4", "optimizer.name=sgd"});
    // Little but samples.
    check("augmented" + tail, device, ranks,
          {"model.name=mlp", "model.hidden=[1]", "data.augment=[\"flip\", \"noise\", \"cutmix\"]"});
    check("deep" + tail, device, ranks, {"model.file=" + (*folder_ / "deep.toml"), "optimizer.name=lamb"});
  }
};

TEST_F(MemoryRun, IsAllocatedAsPlannedOnTheCpu) { check_models("cpu", 1); }

TEST_F(MemoryRun, IsAllocatedAsPlannedOnTwoRanks) { check_models("cpu", 2); }

TEST_F(MemoryRun, IsAllocatedAsPlannedOnAGpu) {
  if (find_devices().gpus.empty()) GTEST_SKIP() << "no GPU";
  check_models("cuda", 1);
}

TEST_F(MemoryRun, TheLogAndModelShowTellTheDifference) {
  train("told", 1, set({"train.steps=1", "train.global_batch=16", "model.name=mlp"}));
  std::ifstream file(*folder_ / "told" + "/log.txt");
  const std::string log((std::istreambuf_iterator<char>(file)), {});
  const std::string told = "[0-9.]+ [KM]iB allocated, [0-9.]+ [KM]iB planned \\([+-][0-4]\\.[0-9] %\\)";
  EXPECT_THAT(log, testing::ContainsRegex("buffers of rank 0: " + told));
  for (const std::string& run : {*folder_ / "told", *folder_ / "told" + "/checkpoints/step-00000001.h5"}) {
    const ProgramResult result = run_program(lockstep_command(1, {"model", "show", run}), folder_->path());
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, testing::ContainsRegex("\nthe run +" + told));
    EXPECT_THAT(result.out, HasSubstr(", 10 outputs\n"));
  }
}

}  // namespace
}  // namespace lockstep
