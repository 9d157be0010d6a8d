// Whole trainings with augmentation, and with normalization that is learned from the data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/device/devices.h"
#include "tests/io/data_files.h"
#include "tests/io/files.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

class AugmentedRun : public WholeRun {
 protected:
  /// Every kind of pass: targets, positions and values change.
  static constexpr const char* kAugment =
      "data.augment=[\"flip\", { name = \"crop\", padding = 3 }, \"erase\", { name = \"color_jitter\", "
      "saturation = 0 }, { name = \"noise\", std = 0.05 }, { name = \"mixup\", probability = 0.5 }, "
      "\"cutmix\", \"rotate90\", \"resized_crop\"]";

  static std::vector<std::string> settings(const std::vector<std::string>& more, int steps = 12) {
    std::vector<std::string> all = {"run.reproducible=true",
                                    "train.global_batch=64",
                                    "train.micro_batch=16",
                                    "data.normalize=standardize",
                                    kAugment,
                                    "train.steps=" + std::to_string(steps)};
    all.insert(all.end(), more.begin(), more.end());
    return set(all);
  }
  static std::string log_of(const std::string& name) { return content_of(*folder_ / name + "/log.txt"); }

  static ProgramResult program(std::vector<std::string> arguments) {
    return run_program(lockstep_command(1, std::move(arguments)), folder_->path());
  }
  /// The error of a training of 28x28 digits with this setting.
  static std::string error_of_training(const std::string& setting) {
    std::vector<std::string> arguments = {"train",
                                          "--run",
                                          *folder_ / "refused",
                                          "--device",
                                          "cpu",
                                          "--set",
                                          "data.train=" + (*folder_ / "digits.h5") + ":/train"};
    arguments.insert(arguments.end(), {"--set", setting});
    const ProgramResult result = program(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.out << result.err;
    return result.err;
  }
};

TEST_F(AugmentedRun, HasTheSameBitsOnAnyNumberOfRanksAndThreads) {
  const json one = train("one", 1, settings({"run.threads=1"})).back();
  EXPECT_EQ(train("threads", 1, settings({"run.threads=3"})).back()["weights_hash"], one["weights_hash"]);
  for (const int ranks : {2, 4}) {
    const json more = train("ranks-" + std::to_string(ranks), ranks, settings({"run.threads=1"})).back();
    EXPECT_EQ(more["weights_hash"], one["weights_hash"]) << ranks << " ranks";
    EXPECT_EQ(more["test_loss"], one["test_loss"]) << ranks << " ranks";
  }
  EXPECT_NE(train("seed", 1, settings({"run.seed=2"})).back()["weights_hash"], one["weights_hash"]);
  EXPECT_NE(train("plain", 1, settings({"data.augment=[]"})).back()["weights_hash"], one["weights_hash"]);
  EXPECT_THAT(
      log_of("one"),
      HasSubstr(
          "augmentation of training samples: flip (probability 0.5), crop (padding 3, size 0), erase ("));
  EXPECT_THAT(log_of("plain"), Not(HasSubstr("augmentation")));
}

TEST_F(AugmentedRun, ResumedInTheMiddleOfAnEpochEndsInTheSameBits) {
  const json whole = train("whole", 2, settings({}, 20)).back();
  train("parts", 2, settings({}, 9));
  std::vector<std::string> resume = settings({}, 20);
  resume.insert(resume.end(), {"--resume", "auto"});
  EXPECT_EQ(train("parts", 1, resume).back()["weights_hash"], whole["weights_hash"]);
}

TEST_F(AugmentedRun, EvaluationUsesTheSamplesAsTheyAreAndTheLearnedNormalization) {
  const json end = train("evaluated", 1, settings({})).back();
  const ProgramResult evaluated = program({"eval", *folder_ / "evaluated", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(parse_json(evaluated.out).at("loss"), end.at("test_loss"));
  const std::string out = *folder_ / "answers.h5";
  const ProgramResult predicted = program({"predict", *folder_ / "evaluated", "--out", out});
  EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
}

TEST_F(AugmentedRun, OnTheGpuACapturedStepDrawsAnewEachTime) {
  if (find_devices().gpus.size() < 2) GTEST_SKIP() << "fewer than two GPUs";
  const std::vector<std::string> cuda = {"model.name=mlp", "model.hidden=[8]"};
  std::vector<std::string> uncaptured = cuda;
  uncaptured.emplace_back("run.capture=false");
  const json captured = train("gpu", 1, settings(cuda, 5), "cuda").back();
  EXPECT_EQ(train("gpu-uncaptured", 1, settings(uncaptured, 5), "cuda").back()["weights_hash"],
            captured["weights_hash"]);
  EXPECT_EQ(train("gpus", 2, settings(cuda, 5), "cuda").back()["weights_hash"], captured["weights_hash"]);
}

TEST_F(AugmentedRun, WhatTheSamplesDoNotAllowIsSaidBeforeTheFirstStep) {
  EXPECT_THAT(
      error_of_training("data.augment={ name = \"crop\", padding = 30 }"),
      HasSubstr(
          "data.augment: crop: with padding = 30, a crop of 28 could lie outside of samples of shape (28, 28, 1)"));
  EXPECT_THAT(error_of_training("data.augment=color_jitter"), HasSubstr("Set saturation = 0."));
  EXPECT_THAT(error_of_training("data.augment=time_shift"), HasSubstr("it needs signals"));
  EXPECT_THAT(error_of_training("data.augment=[\"horizontal_flip\"]"),
              HasSubstr("data.augment: unknown augmentation 'horizontal_flip'. Did you mean 'flip'?"));
}

TEST_F(AugmentedRun, AChannelThatDoesNotVaryIsNamed) {
  const std::string file = *folder_ / "table.h5";
  std::vector<float> x;
  std::vector<int32_t> y;
  for (int i = 0; i < 64; ++i) {
    x.insert(x.end(), {static_cast<float>(i), 7, 1e6f + static_cast<float>(i % 3)});
    y.push_back(i % 2);
  }
  put(file, "/train/x", {64, 3}, x);
  put(file, "/train/y", {64}, y);
  const ProgramResult result =
      program({"train", "--run", *folder_ / "table", "--device", "cpu", "--set", "data.train=" + file,
               "--set", "model.name=mlp", "--set", "train.steps=2", "--set", "data.normalize=standardize"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(
      result.out + result.err,
      HasSubstr("data.normalize = \"standardize\": channel 1 has the same value in all of data.train"));
}

}  // namespace
}  // namespace lockstep
