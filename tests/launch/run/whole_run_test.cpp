// Whole trainings on several ranks and threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using nlohmann::json;

TEST_F(WholeRun, ReproducibleModeGivesOneHashForAnyRanksAndThreads) {
  const std::string model = *folder_ / "net.toml";
  std::ofstream(model) << kModel;
  std::string hash;
  for (const int ranks : {1, 2, 4}) {
    for (const int threads : {1, 2}) {
      const std::string name = "hash-" + std::to_string(ranks) + "-" + std::to_string(threads);
      const json end = train(name, ranks,
                             set({"run.reproducible=true", "run.threads=" + std::to_string(threads),
                                  "train.epochs=2", "model.file=" + model, "data.validation_split=0.1"}))
                           .back();
      ASSERT_EQ(end["event"], "end");
      EXPECT_EQ(end["reason"], "finished");
      if (hash.empty()) hash = end["weights_hash"];
      EXPECT_EQ(end["weights_hash"], hash) << ranks << " ranks, " << threads << " threads";
    }
  }
  EXPECT_EQ(hash.size(), 16u);
}

TEST_F(WholeRun, StoppedOnFourRanksAndResumedOnOneEndsInTheSameBits) {
  const std::vector<std::string> settings = set({"run.reproducible=true", "checkpoint.every_steps=5"});
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> all = settings;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const json whole = train("whole", 2, with(set({"train.epochs=3"}))).back();
  train("parts", 4, with(set({"train.epochs=2"})));
  std::vector<std::string> resume = with(set({"train.epochs=3"}));
  resume.insert(resume.end(), {"--resume", "auto"});
  const std::vector<json> resumed = train("parts", 1, resume);
  EXPECT_EQ(resumed.back()["weights_hash"], whole["weights_hash"]);
  EXPECT_EQ(resumed.back()["step"], whole["step"]);
  // The file holds every step once, in order.
  int64_t step = 0;
  for (const json& event : resumed) {
    if (event["event"] == "step") {
      EXPECT_EQ(event["step"], ++step);
    }
  }
  EXPECT_EQ(step, whole["step"]);
}

TEST_F(WholeRun, ShardedOnFourRanksAndResumedOnTwoWithoutEndsInTheSameBits) {
  const auto settings = [](int steps, bool sharded) {
    return set({"run.reproducible=true", "optimizer.name=lamb", "optimizer.weight_decay=0.01",
                "train.clip_norm=0.5", "train.steps=" + std::to_string(steps),
                "optimizer.sharded=" + std::string(sharded ? "true" : "false")});
  };
  const json whole = train("shards-whole", 1, settings(9, false)).back();
  train("shards", 4, settings(5, true));
  std::vector<std::string> resume = settings(7, false);
  resume.insert(resume.end(), {"--resume", "auto"});
  train("shards", 2, resume);
  resume = settings(9, true);
  resume.insert(resume.end(), {"--resume", "auto"});
  const json resumed = train("shards", 4, resume).back();
  EXPECT_EQ(resumed["weights_hash"], whole["weights_hash"]);
  EXPECT_EQ(resumed["test_loss"], whole["test_loss"]);
}

TEST_F(WholeRun, ResumeInTheMiddleOfAnEpochEndsInTheSameBits) {
  const std::vector<std::string> settings = set({"train.global_batch=100", "checkpoint.every_steps=7"});
  std::vector<std::string> first = settings, second = settings, whole = settings;
  for (auto* list : {&first, &second, &whole}) list->push_back("--set");
  first.push_back("train.steps=17");
  second.insert(second.end(), {"train.steps=25", "--resume", "auto"});
  whole.push_back("train.steps=25");
  train("middle", 1, first);
  const std::vector<json> resumed = train("middle", 1, second), straight = train("straight", 1, whole);
  EXPECT_EQ(resumed.back()["weights_hash"], straight.back()["weights_hash"]);
  // The epoch that was cut in two reports the loss of all its steps.
  const auto epoch_loss = [](const std::vector<json>& events) {
    for (const json& event : events)
      if (event["event"] == "epoch" && event["epoch"] == 2) return event["train_loss"].get<double>();
    return -1.0;
  };
  EXPECT_EQ(epoch_loss(resumed), epoch_loss(straight));
}

TEST_F(WholeRun, DefaultModeAgreesBetweenOneAndFourRanks) {
  const auto loss_after = [&](int ranks) {
    const std::vector<json> all = train("sgd-" + std::to_string(ranks), ranks,
                                        set({"train.epochs=1", "optimizer.name=sgd", "optimizer.lr=0.05"}));
    for (const json& event : all)
      if (event["event"] == "epoch") return event["train_loss"].get<double>();
    return -1.0;
  };
  const double one = loss_after(1), four = loss_after(4);
  EXPECT_GT(one, 0);
  EXPECT_NEAR(one, four, 1e-5);
}

TEST_F(WholeRun, SyncBatchNormMakesOneMicroBatchOfWhatIsComputedTogether) {
  const std::string model = *folder_ / "synchronized.toml";
  std::ofstream(model) << kModel;
  // The last batch of the epoch is short.
  const auto loss_after = [&](int ranks, int threads, bool synchronized) {
    const std::string name = "norm-" + std::to_string(ranks) + (synchronized ? "-together" : "-alone");
    const std::vector<json> all =
        train(name, ranks,
              set({"train.epochs=1", "optimizer.name=sgd", "optimizer.lr=0.05", "model.file=" + model,
                   "run.threads=" + std::to_string(threads),
                   "train.micro_batch=" + std::string(ranks == 1 ? "128" : "0"),
                   "train.sync_batch_norm=" + std::string(synchronized ? "true" : "false")}));
    return all.back()["test_loss"].get<double>();
  };
  const double one = loss_after(1, 1, false);
  EXPECT_NEAR(loss_after(2, 2, true), one, 1e-5);
  EXPECT_NEAR(loss_after(4, 1, true), one, 1e-5);
  EXPECT_GT(std::abs(loss_after(4, 1, false) - one), 1e-4);
}

TEST_F(WholeRun, EarlyStopKeepsTheBestCheckpoint) {
  const std::vector<std::string> settings =
      set({"train.epochs=40", "data.validation_split=0.2", "model.name=mlp", "optimizer.lr=0.02",
           "train.early_stop={ metric = \"validation_loss\", patience = 2 }"});
  const std::vector<json> all = train("early", 2, settings);
  EXPECT_EQ(all.back()["reason"], "early_stop");
  EXPECT_TRUE(std::filesystem::exists(*folder_ / "early/checkpoints/best.h5"));
  double best = 1e9;
  int64_t best_epoch = 0, last_epoch = 0;
  for (const json& event : all) {
    if (event["event"] != "epoch") continue;
    last_epoch = event["epoch"];
    for (const char* part : {"read", "decode", "copy", "compute", "communication", "wait"})
      EXPECT_GE(event["step_ms"][part].get<double>(), 0) << part;
    EXPECT_GT(event["slowest_rank_step_ms"]["compute"], 0);
    EXPECT_LT(event["slowest_rank"], 2);
    if (event["validation_loss"] < best) {
      best = event["validation_loss"];
      best_epoch = last_epoch;
    }
  }
  EXPECT_EQ(last_epoch, best_epoch + 2);

  // What is over stays over: a job that starts again must not train on.
  std::vector<std::string> again = settings;
  again.insert(again.end(), {"--resume", "auto"});
  const json end = train("early", 1, again).back();
  EXPECT_EQ(end["reason"], "early_stop");
  EXPECT_EQ(end["step"], all.back()["step"]);
  EXPECT_EQ(end["weights_hash"], all.back()["weights_hash"]);
}

TEST_F(WholeRun, PeakMemoryIsNotThatOfTheProgramThatStartedIt) {
  std::vector<std::string> words = {
      "python3", "-c", "import os, sys; x = b'x' * 700000000; os.execv(sys.argv[1], sys.argv[1:])"};
  const std::vector<std::string> train = lockstep_command(
      1, {"train", "--run", *folder_ / "peak", "--set", "data.train=" + (*folder_ / "digits.h5") + ":/train",
          "--set", "train.steps=2", "--set", "model.name=mlp", "--device", "cpu"});
  words.insert(words.end(), train.begin(), train.end());
  const ProgramResult result = run_program(words, folder_->path());
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const int64_t peak = events("peak").back().at("peak_host_bytes");
  EXPECT_GT(peak, 10'000'000);
  EXPECT_LT(peak, 600'000'000);
}

TEST_F(WholeRun, MoreEpochsThanCanBeCountedAreRefused) {
  const ProgramResult result =
      run_program(lockstep_command(1, {"train", "--run", *folder_ / "endless", "--set",
                                       "data.train=" + (*folder_ / "digits.h5") + ":/train", "--set",
                                       "train.epochs=4611686018427387904", "--device", "cpu"}),
                  folder_->path());
  EXPECT_EQ(result.exit_code, 2) << result.out;
  EXPECT_THAT(
      result.err,
      testing::HasSubstr("train.epochs = 4611686018427387904 of 8 steps each are too many steps to count"));
}

}  // namespace
}  // namespace lockstep
