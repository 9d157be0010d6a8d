// A resumed run is identical to an uninterrupted one, or says why not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "src/optim/optimizer.h"
#include "tests/launch/process/rank_processes.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Resume : public WholeRun {
 protected:
  static ProgramResult run(const std::vector<std::string>& arguments, int ranks = 1) {
    return run_program(lockstep_command(ranks, arguments), folder_->path());
  }
  /// Everything that has a state: momentum, running statistics, dropout, a schedule, early stopping. 8 steps
  /// an epoch.
  static std::vector<std::string> settings(const std::string& optimizer) {
    const std::string model = *folder_ / "net.toml";
    std::ofstream(model) << kModel;
    return set({"run.reproducible=true", "model.file=" + model, "optimizer.name=" + optimizer,
                "optimizer.lr=0.01", "optimizer.weight_decay=0.01", "schedule.name=cosine",
                "schedule.warmup_steps=5", "train.steps=40", "data.validation_split=0.1",
                "checkpoint.every_steps=11", "checkpoint.keep=10",
                "train.early_stop={ metric = \"validation_loss\", patience = 4 }"});
  }
  static std::string checkpoint(const std::string& name, const std::string& file) {
    return *folder_ / name + "/checkpoints/" + file;
  }
  static double validation_loss_of(const std::string& from) {
    const ProgramResult result = run({"eval", from, "--split", "validation", "--device", "cpu", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return parse_json(result.out)["loss"];
  }
  static double best_loss_in(const std::vector<json>& events, int64_t from_epoch = 1) {
    double best = 1e9;
    for (const json& event : events)
      if (event["event"] == "epoch" && event["epoch"] >= from_epoch)
        best = std::min(best, event["validation_loss"].get<double>());
    return best;
  }
};

TEST_F(Resume, InTheMiddleOfAnEpochEndsInTheSameBits) {
  int ranks = 1;
  for (const std::string& optimizer : optimizer_names()) {
    const std::string straight = "straight-" + optimizer;
    const json whole = train(straight, 2, settings(optimizer)).back();
    for (const std::string file : {"step-00000011.h5", "step-00000033.h5"}) {
      std::vector<std::string> again = settings(optimizer);
      again.insert(again.end(), {"--resume", checkpoint(straight, file)});
      const std::vector<json> resumed = train(optimizer + file, ranks, again);
      EXPECT_EQ(resumed.back()["weights_hash"], whole["weights_hash"]) << optimizer << " from " << file;
      EXPECT_EQ(resumed.back()["step"], whole["step"]);
      EXPECT_EQ(resumed.back()["reason"], whole["reason"]);
      ranks = 3 - ranks;
    }
  }
}

TEST_F(Resume, ASharedOutOptimizerGoesOnOnAnyRanks) {
  const auto part = [](const std::string& name, int ranks, const std::string& steps,
                       const std::string& sharded) {
    std::vector<std::string> arguments = settings("lamb");
    for (const std::string& word :
         set({"train.steps=" + steps, "schedule.name=constant", "optimizer.sharded=" + sharded}))
      arguments.push_back(word);
    arguments.insert(arguments.end(), {"--resume", "auto"});
    return train(name, ranks, arguments).back();
  };
  const json whole = part("together", 1, "20", "false");
  part("shared", 4, "7", "true");
  part("shared", 2, "13", "true");
  part("shared", 1, "16", "true");
  const json resumed = part("shared", 4, "20", "true");
  EXPECT_EQ(resumed["weights_hash"], whole["weights_hash"]);
  EXPECT_EQ(resumed["step"], 20);
}

TEST_F(Resume, EarlyStoppingRemembersItsEpochs) {
  const auto with_epochs = [](int epochs) {
    return set({"run.reproducible=true", "train.epochs=" + std::to_string(epochs),
                "data.validation_split=0.2", "model.name=mlp", "optimizer.lr=0.02",
                "checkpoint.every_steps=3",
                "train.early_stop={ metric = \"validation_loss\", patience = 2 }"});
  };
  const json whole = train("patient", 1, with_epochs(40)).back();
  ASSERT_EQ(whole["reason"], "early_stop");
  // 7 steps an epoch. The epoch before the last one, in the middle of it, and the last one.
  const int64_t epochs = whole["step"].get<int64_t>() / 7;
  for (int64_t epoch = epochs - 2; epoch < epochs; ++epoch) {
    train("patient-parts", 1 + static_cast<int>(epoch % 2), [&] {
      std::vector<std::string> arguments = with_epochs(static_cast<int>(epoch));
      arguments.insert(arguments.end(), {"--resume", "auto"});
      return arguments;
    }());
  }
  std::vector<std::string> rest = with_epochs(40);
  rest.insert(rest.end(), {"--resume", "auto"});
  const std::vector<json> resumed = train("patient-parts", 1, rest);
  EXPECT_EQ(resumed.back()["reason"], "early_stop");
  EXPECT_EQ(resumed.back()["step"], whole["step"]);
  EXPECT_EQ(resumed.back()["weights_hash"], whole["weights_hash"]);
  EXPECT_NEAR(validation_loss_of(checkpoint("patient-parts", "best.h5")), best_loss_in(resumed), 1e-9);
}

TEST_F(Resume, TheBestCheckpointIsOfTheEpochsThatTheFolderHasSeen) {
  const std::vector<std::string> three =
                                     set({"train.epochs=3", "data.validation_split=0.2", "model.name=mlp"}),
                                 five =
                                     set({"train.epochs=5", "data.validation_split=0.2", "model.name=mlp"});
  const auto resume = [](std::vector<std::string> arguments, const std::string& from) {
    arguments.insert(arguments.end(), {"--resume", from});
    return arguments;
  };
  train("first", 1, three);
  // Into another folder, where there is no best.h5.
  const std::vector<json> elsewhere =
      train("second", 1, resume(five, *folder_ / "first/checkpoints/step-00000014.h5"));
  EXPECT_NEAR(validation_loss_of(checkpoint("second", "best.h5")), best_loss_in(elsewhere, 3), 1e-9);
  // The file is lost on the way.
  fs::remove(checkpoint("first", "best.h5"));
  const std::vector<json> lost = train("first", 1, resume(five, "auto"));
  EXPECT_NEAR(validation_loss_of(checkpoint("first", "best.h5")), best_loss_in(lost, 4), 1e-9);
}

TEST_F(Resume, OtherDataIsRefusedByNameOrBeginsItsEpochAnew) {
  const std::string data = *folder_ / "changing.h5";
  const auto make_data = [&](const std::string& seed, const std::string& samples) {
    const ProgramResult made =
        run({"data", "synth", "digits", data, "--force", "--train", samples, "--test", "50", "--seed", seed});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  };
  const auto training = [&](const std::string& epochs, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / "changing"};
    for (const std::string& word :
         set({"data.train=" + data + ":/train", "data.validation=" + data + ":/test", "model.name=mlp",
              "train.global_batch=50", "run.device=cpu", "checkpoint.every_steps=3",
              "train.epochs=" + epochs}))
      arguments.push_back(word);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  make_data("1", "200");
  ASSERT_EQ(run(training("2", {})).exit_code, 0);
  fs::remove(checkpoint("changing", "step-00000008.h5"));  // so that it resumes in the middle of epoch 2

  make_data("2", "300");
  const std::string file = data + ":/train/x (";
  const ProgramResult refused = run(training("3", {"--resume", "auto"}), 2);
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("error: data or batches differ from those of"), HasSubstr("step-00000006.h5"),
                    HasSubstr("the training data was " + file + "200, 28, 28) uint8, is " + file +
                              "300, 28, 28) uint8"),
                    HasSubstr("the validation data has other samples than before: "),
                    HasSubstr("the steps of an epoch were 4, are 6"), HasSubstr("--allow-changed")));

  const ProgramResult allowed = run(training("3", {"--resume", "auto", "--allow-changed"}), 2);
  EXPECT_EQ(allowed.exit_code, 0) << allowed.err;
  EXPECT_THAT(allowed.err,
              AllOf(HasSubstr("warning: data or batches differ from those of"), HasSubstr(file + "300"),
                    HasSubstr("The run resumes at the start of epoch 2, step 7"),
                    HasSubstr("The best epoch is determined anew")));
  const std::vector<json> all = events("changing");
  EXPECT_EQ(all.back()["step"], 18);
  EXPECT_NEAR(validation_loss_of(checkpoint("changing", "best.h5")), best_loss_in(all, 2), 1e-9);
}

TEST_F(Resume, AChangedConfigIsRefusedOrToldKeyByKey) {
  const auto training = [](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / "config"};
    for (const std::string& word :
         set({"data.train=" + (*folder_ / "digits.h5") + ":/train", "data.validation_split=0.2",
              "model.name=mlp", "run.device=cpu", "checkpoint.every_steps=4"}))
      arguments.push_back(word);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  ASSERT_EQ(run(training(set({"train.epochs=2"}))).exit_code, 0);
  std::vector<std::string> other =
      set({"train.epochs=3", "optimizer.lr=0.02", "train.clip_norm=1", "train.global_batch=64",
           "train.early_stop={ metric = \"validation_accuracy\", patience = 9 }"});
  other.insert(other.end(), {"--resume", "auto"});
  const auto each_key =
      AllOf(HasSubstr("optimizer.lr was 0.001, is 0.02"), HasSubstr("train.clip_norm was 0.0, is 1.0"),
            HasSubstr("train.global_batch was 128, is 64"), HasSubstr("train.early_stop was false, is {"),
            Not(HasSubstr("train.epochs")));
  const ProgramResult refused = run(training(other), 2);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("error: the config differs"), each_key, HasSubstr("--allow-changed")));

  other.push_back("--allow-changed");
  const ProgramResult allowed = run(training(other), 2);
  EXPECT_EQ(allowed.exit_code, 0) << allowed.err;
  EXPECT_THAT(allowed.err, AllOf(HasSubstr("warning: the config differs"), each_key,
                                 HasSubstr("The best epoch is determined anew")));
  EXPECT_THAT(contents(*folder_ / "config/log.txt"), each_key);
  // 7 steps an epoch before, and 13 now.
  const std::vector<json> all = events("config");
  EXPECT_EQ(all.back()["step"], 39);
  double accuracy = 0;
  for (const json& event : all)
    if (event["event"] == "epoch" && event["epoch"] == 3) accuracy = event["validation_accuracy"];
  const ProgramResult best =
      run({"eval", checkpoint("config", "best.h5"), "--split", "validation", "--device", "cpu", "--json"});
  EXPECT_EQ(parse_json(best.out)["accuracy"], accuracy);
}

}  // namespace
}  // namespace lockstep
