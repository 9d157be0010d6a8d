// Whole trainings on GPUs, one a rank: real ones where there are enough, or emulated ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "src/device/devices.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

class GpuRun : public WholeRun {
 protected:
  void SetUp() override { std::ofstream(*folder_ / "net.toml") << kModel; }

  static bool has_gpus(int count) { return static_cast<int>(find_devices().gpus.size()) >= count; }

  /// Few steps: an emulated GPU is slow.
  static std::vector<std::string> settings(int steps, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"run.reproducible=true",    "train.steps=" + std::to_string(steps),
                                    "train.global_batch=32",    "train.micro_batch=8",
                                    "checkpoint.every_steps=3", "model.file=" + (*folder_ / "net.toml")};
    all.insert(all.end(), more.begin(), more.end());
    return set(all);
  }

  static std::string hash(const std::vector<json>& events) { return events.back()["weights_hash"]; }
};

TEST_F(GpuRun, CapturedAndUncapturedStepsGiveTheSameBits) {
  if (!has_gpus(1)) GTEST_SKIP() << "no GPU";
  EXPECT_EQ(hash(train("captured", 1, settings(6, {"run.capture=true"}), "cuda")),
            hash(train("uncaptured", 1, settings(6, {"run.capture=false"}), "cuda")));
}

TEST_F(GpuRun, ReproducibleModeGivesOneHashForAnyNumberOfGpus) {
  if (!has_gpus(2)) GTEST_SKIP() << "fewer than two GPUs";
  const std::string one = hash(train("one", 1, settings(5), "cuda"));
  EXPECT_EQ(hash(train("two", 2, settings(5), "cuda")), one);
  if (has_gpus(4)) {
    EXPECT_EQ(hash(train("four", 4, settings(5), "cuda")), one);
  }
}

TEST_F(GpuRun, StoppedAndResumedEndsInTheSameBits) {
  if (!has_gpus(1)) GTEST_SKIP() << "no GPU";
  const std::string whole = hash(train("whole", 1, settings(7), "cuda"));
  train("parts", has_gpus(2) ? 2 : 1, settings(4), "cuda");
  std::vector<std::string> resume = settings(7);
  resume.insert(resume.end(), {"--resume", "auto"});
  EXPECT_EQ(hash(train("parts", 1, resume, "cuda")), whole);
}

TEST_F(GpuRun, EnginesAreChosenOnceAndKeptWhenARunResumes) {
  if (!has_gpus(2)) GTEST_SKIP() << "fewer than two GPUs";
  // A convolution, one that sums up its result for the batch norm, and attention. The emulated cuDNN is
  // faster with sums.
  std::ofstream(*folder_ / "tuned.toml") << R"(
[[layer]]
kind = "conv2d"
filters = 8
kernel = 5
stride = 5
[[layer]]
kind = "conv2d"
filters = 8
kernel = 3
bias = false
[[layer]]
kind = "batch_norm"
[[layer]]
kind = "flatten"
last = 1
[[layer]]
kind = "multihead_attention"
heads = 1
[[layer]]
kind = "flatten"
[[layer]]
kind = "linear"
outputs = "classes"
)";
  const std::vector<std::string> tuned =
      settings(6, {"run.reproducible=false", "run.autotune=true", "run.precision=bf16",
                   "train.global_batch=4", "train.micro_batch=0", "model.file=" + (*folder_ / "tuned.toml")});
  const auto log = [](const std::string& name) {
    std::ifstream file(*folder_ / name + "/log.txt");
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  // Two runs may choose differently, so the second resumes from what the first was at step 3.
  const std::string whole = hash(train("tuned", 2, tuned, "cuda"));
  EXPECT_THAT(log("tuned"), testing::HasSubstr("autotune: timed "));
  std::vector<std::string> resume = tuned;
  resume.insert(resume.end(), {"--resume", checkpoint_path(*folder_ / "tuned", 3)});
  EXPECT_EQ(hash(train("tuned-resumed", 2, resume, "cuda")), whole);
  // Of the convolutions three directions and two, and one with sums; forward of attention, and backward on
  // some GPUs.
  EXPECT_THAT(log("tuned-resumed"),
              testing::ContainsRegex("autotune: took the engines of [78] operations from"));
  EXPECT_THAT(log("tuned-resumed"), testing::Not(testing::HasSubstr("autotune: timed ")));
}

TEST_F(GpuRun, SamplesReadByGpuDirectStorageGiveTheSameBits) {
  if (!has_gpus(1)) GTEST_SKIP() << "no GPU";
#ifndef LOCKSTEP_EMULATED_CUDA
  GTEST_SKIP() << "needs libcufile, and a file system that it supports";
#endif
  const std::string usual = hash(train("by-host", 1, settings(4), "cuda"));
  const std::vector<std::string> direct = {"data.gpu_direct=true", "data.memory_budget=1"};
  const json end = train("direct", 1, settings(4, direct), "cuda").back();
  EXPECT_EQ(end["weights_hash"], usual);
  const auto allocated = end["memory"]["allocated_device_bytes"].get<double>();
  EXPECT_NEAR(allocated, end["memory"]["planned_device_bytes"].get<double>(), 0.05 * allocated);
}

TEST_F(GpuRun, GpuDirectStorageIsRefusedWithTheReason) {
  const auto refusal = [](const std::string& device, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train"};
    const std::vector<std::string> all = settings(1, more);
    arguments.insert(arguments.end(), all.begin(), all.end());
    const std::vector<std::string> data = set({"data.train=" + (*folder_ / "digits.h5") + ":/train",
                                               "data.gpu_direct=true", "run.device=" + device});
    arguments.insert(arguments.end(), data.begin(), data.end());
    std::vector<std::string> command = lockstep_command(1, arguments);
    command.insert(command.begin(), {"env", "LOCKSTEP_EMULATED_GPUS=4"});
    const ProgramResult result = run_program(command, folder_->path());
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_THAT(refusal("cpu", {}), testing::HasSubstr("data.gpu_direct = true needs a GPU"));
  if (!has_gpus(1)) return;
  EXPECT_THAT(refusal("cuda", {}), testing::HasSubstr("held in memory: data.memory_budget is larger"));
  EXPECT_THAT(refusal("cuda", {"data.memory_budget=1", "data.validation_split=0.2"}),
              testing::HasSubstr("a part of a data set"));
}

TEST_F(GpuRun, ShardedOnTwoAndResumedOnOneEndsInTheSameBits) {
  if (!has_gpus(2)) GTEST_SKIP() << "fewer than two GPUs";
  const std::vector<std::string> lamb = {"optimizer.name=lamb", "train.clip_norm=0.5",
                                         "optimizer.sharded=true"};
  const std::string whole = hash(train("unsharded", 1, settings(6, lamb), "cuda"));
  train("sharded", 2, settings(4, lamb), "cuda");
  std::vector<std::string> resume = settings(6, lamb);
  resume.insert(resume.end(), {"--resume", "auto"});
  EXPECT_EQ(hash(train("sharded", 1, resume, "cuda")), whole);
}

TEST_F(GpuRun, ContinuesWhatTheCpuBegan) {
  if (!has_gpus(1)) GTEST_SKIP() << "no GPU";
  const json whole = train("cpu-whole", 1, settings(6)).back();
  train("cpu-parts", 1, settings(3));
  std::vector<std::string> resume = settings(6);
  resume.insert(resume.end(), {"--resume", "auto"});
  const json continued = train("cpu-parts", 1, resume, "cuda").back();
  EXPECT_EQ(continued["step"], 6);
  EXPECT_NEAR(continued["test_loss"], whole["test_loss"], 1e-4);
}

TEST_F(GpuRun, DefaultModeAgreesWithTheCpu) {
  if (!has_gpus(2)) GTEST_SKIP() << "fewer than two GPUs";
  const std::vector<std::string> sgd =
      settings(6, {"run.reproducible=false", "optimizer.name=sgd", "optimizer.lr=0.05"});
  const json cpu = train("cpu", 1, sgd).back(), gpu = train("gpu", 2, sgd, "cuda").back();
  EXPECT_NEAR(gpu["test_loss"], cpu["test_loss"], 1e-4);
}

TEST_F(GpuRun, SyncBatchNormAgreesWithTheCpu) {
  if (!has_gpus(2)) GTEST_SKIP() << "fewer than two GPUs";
  const std::vector<std::string> synchronized =
      settings(5, {"run.reproducible=false", "optimizer.name=sgd", "optimizer.lr=0.05", "run.threads=1",
                   "train.sync_batch_norm=true"});
  const json cpu = train("cpu-norm", 2, synchronized).back();
  const json gpu = train("gpu-norm", 2, synchronized, "cuda").back();
  EXPECT_NEAR(gpu["test_loss"], cpu["test_loss"], 1e-4);
}

}  // namespace
}  // namespace lockstep
