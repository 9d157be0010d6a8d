// data.shuffle and data.sampling in whole runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "io/hdf5/hdf5.h"
#include "tests/io/data_files.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

/// Compressed digits: 1000 in chunks of 8.
class OrderRun : public WholeRun {
 protected:
  static void SetUpTestSuite() {
    WholeRun::SetUpTestSuite();
    const auto digits = open_dataset({{*folder_ / "digits.h5"}, "/train/x", "/train/y"}, {});
    put(*folder_ / "chunks.h5", "/train/x", {1000, 28, 28}, all_x<uint8_t>(*digits), {{8, 28, 28}, 1});
    put(*folder_ / "chunks.h5", "/train/y", {1000}, all_y<int32_t>(*digits));
  }
  /// 7 full batches and a short one in an epoch.
  static std::vector<std::string> settings(const std::string& shuffle,
                                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {"data.train=" + (*folder_ / "chunks.h5") + ":/train",
                                    "data.shuffle=" + shuffle,
                                    "model.name=mlp",
                                    "run.threads=1",
                                    "run.reproducible=true",
                                    "train.steps=20"};
    if (shuffle == "window") all.emplace_back("data.shuffle_window=128 KiB");
    all.insert(all.end(), more.begin(), more.end());
    return set(all);
  }
  static std::string hash(const std::vector<json>& events) { return events.back().at("weights_hash"); }
  static std::string log(const std::string& run) {
    std::ifstream file(*folder_ / run + "/log.txt");
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(OrderRun, EachShuffleHasTheSameBitsOnAnyNumberOfRanksInMemoryAndStreamed) {
  std::set<std::string> hashes;
  for (const std::string shuffle : {"full", "window", "chunk", "false"}) {
    const std::string alone = hash(train("one-" + shuffle, 1, settings(shuffle)));
    EXPECT_EQ(hash(train("two-" + shuffle, 2, settings(shuffle))), alone) << shuffle;
    EXPECT_EQ(hash(train("streamed-" + shuffle, 4, settings(shuffle, {"data.memory_budget=300 KiB"}))), alone)
        << shuffle;
    hashes.insert(alone);
  }
  EXPECT_EQ(hashes.size(), 4);
  EXPECT_THAT(log("streamed-window"),
              HasSubstr("order: shuffled in windows: 8 runs of 8 stored samples, 6.4 % "
                        "of the data, are mixed at a time; each is read once"));
  EXPECT_THAT(
      log("one-full"),
      testing::ContainsRegex(" [KM]iB for buffers on each rank, evaluations apart; [0-9.]+ [KM]iB for data"));
  // The 125 chunks of 8 samples, since four times 300 KiB have room for all.
  EXPECT_THAT(log("streamed-full"), HasSubstr("; up to 765.6 KiB for decoded chunks\n"));
}

TEST_F(OrderRun, RanksOfAMachineHoldTheDataOnce) {
  const std::string alone = hash(train("own", 1, settings("full")));
  EXPECT_EQ(hash(train("shared", 4, settings("full"))), alone);
  EXPECT_THAT(log("own"), HasSubstr("in memory (769.5 KiB on each rank)"));
  EXPECT_THAT(log("shared"), HasSubstr("in memory (769.5 KiB for the 4 ranks of a machine)"));
}

TEST_F(OrderRun, ResumesInMidEpochWithTheSameOrderWhateverTheBudget) {
  // Streamed, so that the order follows from the budget.
  const std::vector<std::string> streamed =
      settings("auto", {"data.memory_budget=300 KiB", "checkpoint.every_steps=11", "checkpoint.keep=10"});
  const std::string straight = hash(train("straight", 2, streamed));
  EXPECT_THAT(log("straight"), HasSubstr("order: shuffled in windows"));
  for (const std::string budget : {"100 KiB", "1 GiB"}) {
    std::vector<std::string> resumed =
        settings("auto", {"data.memory_budget=" + budget, "checkpoint.every_steps=11", "checkpoint.keep=10"});
    resumed.insert(resumed.end(), {"--resume", *folder_ / "straight" + "/checkpoints/step-00000011.h5"});
    EXPECT_EQ(hash(train("resumed-" + budget, 1, resumed)), straight) << budget;
  }
}

TEST_F(OrderRun, BalancedSamplingHasTheSameBitsOnAnyNumberOfRanks) {
  const std::vector<std::string> balanced = settings("full", {"data.sampling=balanced"});
  const std::string alone = hash(train("balanced", 1, balanced));
  EXPECT_EQ(hash(train("balanced-2", 2, balanced)), alone);
  EXPECT_NE(alone, hash(train("uniform", 1, settings("full"))));
  EXPECT_THAT(log("balanced"), HasSubstr("order: drawn by class, each class with its share"));
}

TEST_F(OrderRun, WhatCannotBeSampledIsRefused) {
  const auto refusal = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / "refused"};
    const std::vector<std::string> sets = settings("full", more);
    arguments.insert(arguments.end(), sets.begin(), sets.end());
    const ProgramResult result = run_program(lockstep_command(1, arguments), folder_->path());
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  };
  EXPECT_THAT(refusal({"data.sampling=[1, 2]"}),
              HasSubstr("data.sampling has 2 numbers, but the data has 10 classes"));
  EXPECT_THAT(refusal({"data.sampling=balanced", "data.shuffle=window"}),
              HasSubstr("data.sampling draws from all samples in any order"));
  EXPECT_THAT(refusal({"data.shuffle=random"}), HasSubstr("unknown value 'random'. Did you mean 'full'?"));
}

}  // namespace
}  // namespace lockstep
