#include <gmock/gmock.h>

#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

constexpr const char* kVectorNorm = R"(
[[layer]]
kind = "flatten"
[[layer]]
kind = "linear"
outputs = 64
[[layer]]
kind = "batch_norm"
name = "norm"
[[layer]]
kind = "relu"
[[layer]]
kind = "linear"
outputs = "classes"
)";

TEST_F(WholeRun, BatchNormDoesNotDependOnTheNumberOfThreads) {
  const std::string model = *folder_ / "vectors.toml";
  std::ofstream(model) << kVectorNorm;
  const auto loss_with = [&](int threads, const std::string& more = "train.clip_norm=0.0") {
    const std::string name = "threads-" + std::to_string(threads) + more.substr(0, 10);
    return train(name, 1,
                 set({"train.epochs=1", "train.global_batch=64", "optimizer.name=sgd", "optimizer.lr=0.05",
                      "model.file=" + model, "run.threads=" + std::to_string(threads), more}))
        .back()["test_loss"]
        .get<double>();
  };
  const double one = loss_with(1);
  EXPECT_NEAR(loss_with(16), one, 1e-4);
  EXPECT_NEAR(loss_with(64), one, 1e-4);
  EXPECT_GT(std::abs(loss_with(2, "train.micro_batch=2") - one), 1e-2) << "nothing to see";
}

TEST_F(WholeRun, WhatBatchNormIsTakenOverIsPrinted) {
  const std::string model = *folder_ / "printed.toml", data = *folder_ / "digits.h5";
  std::ofstream(model) << kVectorNorm;
  const auto run = [&](const std::string& name, const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / name, "--device", "cpu"};
    for (const std::string& setting : set({"data.train=" + data + ":/train", "model.file=" + model,
                                           "train.steps=1", "train.global_batch=64", "run.threads=4"}))
      arguments.push_back(setting);
    for (const std::string& setting : set(settings)) arguments.push_back(setting);
    return run_program(lockstep_command(1, arguments), folder_->path());
  };
  EXPECT_THAT(run("alone", {}).out,
              testing::HasSubstr("batch norm: statistics over 32 samples, one micro-batch; 2 of 4 threads"));
  EXPECT_THAT(run("together", {"train.sync_batch_norm=true"}).out,
              testing::HasSubstr("batch norm: statistics over all 64 samples of a step"));
  const ProgramResult refused = run("refused", {"train.micro_batch=1"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err,
              testing::HasSubstr("layer 'norm' (batch_norm) would normalize each sample by itself"));
}

}  // namespace
}  // namespace lockstep
