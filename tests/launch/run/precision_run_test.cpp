// Whole trainings in each precision: the same bits on any number of ranks, and after a resume.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "src/device/devices.h"
#include "src/ops/step_guard.h"
#include "src/ops/supported.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class PrecisionRun : public WholeRun {
 protected:
  void SetUp() override { std::ofstream(*folder_ / "net.toml") << kModel; }

  static bool has_gpus(int count) { return static_cast<int>(find_devices().gpus.size()) >= count; }
  /// An emulated GPU is slow.
  static std::vector<std::string> settings(Precision precision, int steps,
                                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {std::string("run.precision=") + to_string(precision),
                                    "run.reproducible=true",
                                    "train.steps=" + std::to_string(steps),
                                    "train.global_batch=32",
                                    "train.micro_batch=8",
                                    "checkpoint.every_steps=3",
                                    "model.file=" + (*folder_ / "net.toml")};
    all.insert(all.end(), more.begin(), more.end());
    return set(all);
  }
  static std::vector<std::string> resumed(Precision precision, int steps,
                                          const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = settings(precision, steps, more);
    all.insert(all.end(), {"--resume", "auto"});
    return all;
  }
  static std::string hash(const std::vector<json>& events) { return events.back()["weights_hash"]; }

  /// On 1, 2 and 4 ranks; on four that shard the optimizer; and begun on such four, continued on two and
  /// ended on one.
  static void expect_same_bits(Precision precision, int steps, const std::string& device) {
    const std::vector<std::string> sharded = {"optimizer.sharded=true"};
    const std::string name = std::string(to_string(precision)) + "-" + device + "-";
    const std::string one = hash(train(name + "1", 1, settings(precision, steps), device));
    const auto tensors = tensors_of(*folder_ / name + "1");
    for (const int ranks : {2, 4})
      EXPECT_EQ(hash(train(name + std::to_string(ranks), ranks, settings(precision, steps), device)), one)
          << ranks << " ranks";
    EXPECT_EQ(hash(train(name + "sharded", 4, settings(precision, steps, sharded), device)), one);
    EXPECT_EQ(tensors_of(*folder_ / name + "sharded"), tensors);
    train(name + "parts", 4, settings(precision, steps - 4, sharded), device);
    train(name + "parts", 2, resumed(precision, steps - 2, sharded), device);
    EXPECT_EQ(hash(train(name + "parts", 1, resumed(precision, steps), device)), one) << "resumed";
    EXPECT_EQ(tensors_of(*folder_ / name + "parts"), tensors);
  }
};

TEST_F(PrecisionRun, Bf16HasOneHashOnTheCpu) {
  if (!why_unsupported({}, Precision::bf16).empty()) GTEST_SKIP() << "no bf16 on this CPU";
  expect_same_bits(Precision::bf16, 9, "cpu");
}

TEST_F(PrecisionRun, Bf16LearnsLikeFp32) {
  if (!why_unsupported({}, Precision::bf16).empty()) GTEST_SKIP() << "no bf16 on this CPU";
  const json narrow = train("learns-bf16", 1, settings(Precision::bf16, 90)).back(),
             wide = train("learns-fp32", 1, settings(Precision::fp32, 90)).back();
  EXPECT_NE(narrow["weights_hash"], wide["weights_hash"]);
  EXPECT_NEAR(narrow["test_accuracy"], wide["test_accuracy"], 0.05);
  EXPECT_GT(narrow["test_accuracy"], 0.5);
}

TEST_F(PrecisionRun, EachHasOneHashOnGpus) {
  if (!has_gpus(4)) GTEST_SKIP() << "fewer than four GPUs";
  for (const Precision precision : {Precision::tf32, Precision::bf16, Precision::fp16})
    expect_same_bits(precision, 6, "cuda");
}

/// The gradients of the filters overflow in the first steps: cuDNN gives them in fp16, and inputs are as
/// large as 50, with no norm behind them.
TEST_F(PrecisionRun, AnOverflowInFp16IsSkippedAndTheScaleIsResumed) {
  if (!has_gpus(1)) GTEST_SKIP() << "no GPU";
  std::ofstream(*folder_ / "no-norm.toml") << "[[layer]]\nkind = \"conv2d\"\nfilters = 4\nkernel = 3\n"
                                              "[[layer]]\nkind = \"relu\"\n[[layer]]\nkind = \"flatten\"\n"
                                              "[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  const auto with_large_inputs = [](std::vector<std::string> arguments) {
    const std::vector<std::string> more =
        set({"model.file=" + (*folder_ / "no-norm.toml"), "optimizer.lr=1e-4",
             "data.normalize={ mean = [0.0], std = [0.02] }"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const std::vector<json> whole =
      train("overflow", 1, with_large_inputs(settings(Precision::fp16, 8)), "cuda");
  double scale = LossScale::kInitial;
  int skipped = 0;
  for (const json& event : whole) {
    if (event["event"] != "step") continue;
    const bool is_skipped = event.contains("skipped");
    scale = is_skipped ? scale / 2 : scale;
    skipped += is_skipped ? 1 : 0;
    EXPECT_EQ(event["loss_scale"], scale) << event;
  }
  EXPECT_GT(skipped, 0);
  EXPECT_LT(skipped, 6);
  EXPECT_TRUE(whole.front().contains("skipped")) << whole.front();
  EXPECT_EQ(whole.back()["skipped_steps"], skipped);
  EXPECT_TRUE(std::isfinite(whole.back()["test_loss"].get<double>()));

  train("overflow-parts", 1, with_large_inputs(settings(Precision::fp16, 3)), "cuda");
  const std::vector<json> parts =
      train("overflow-parts", 1, with_large_inputs(resumed(Precision::fp16, 8)), "cuda");
  EXPECT_EQ(parts.back()["weights_hash"], whole.back()["weights_hash"]);
  EXPECT_EQ(parts.back()["skipped_steps"], skipped);
  EXPECT_EQ(parts[parts.size() - 2]["loss_scale"], scale);

  // Other precisions have no scale, so that a gradient that is not finite is no overflow.
  std::vector<std::string> in_bf16 = with_large_inputs(resumed(Precision::bf16, 9));
  in_bf16.emplace_back("--allow-changed");
  for (const json& event : train("overflow-parts", 1, in_bf16, "cuda"))
    EXPECT_EQ(event.contains("loss_scale"), event["event"] == "step" && event["step"] <= 8) << event;
}

TEST_F(PrecisionRun, WhatTheCpuCannotDoIsRefused) {
  const ProgramResult result = run_program(
      lockstep_command(1,
                       {"train", "--device", "cpu", "--set", "run.precision=fp16", "--run", *folder_ / "no"}),
      folder_->path());
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              HasSubstr("run.precision = \"fp16\": The CPU does not train in fp16. Use \"bf16\""));
}

}  // namespace
}  // namespace lockstep
