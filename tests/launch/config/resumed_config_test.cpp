#include "launch/config/resumed_config.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/launch/process/rank_processes.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Config with(const std::vector<std::string>& sets) { return load_config("", sets); }

TEST(ScheduleOfAResumedRun, SaysWhatALongerRunDoesToTheLearningRate) {
  const Config before = with({"schedule.name=cosine", "train.steps=40", "optimizer.lr=0.01"});
  const Config now = with({"schedule.name=cosine", "train.steps=80", "optimizer.lr=0.01"});
  EXPECT_EQ(
      schedule_change(before, now, {40, 8}),
      "schedule.name = \"cosine\" now ends at step 80 instead of step 40: the learning rate of step 41 is "
      "0.005 instead of 0. Set schedule.steps = 40 to keep the schedule as it was.");
  EXPECT_EQ(schedule_change(before, before, {40, 8}), "");
  EXPECT_EQ(schedule_change(with({"train.steps=40"}), with({"train.steps=80"}), {40, 8}), "")
      << "a constant learning rate has no end";
}

TEST(ScheduleOfAResumedRun, CountsEpochsInSteps) {
  const Config before = with({"schedule.name=cosine", "train.epochs=5"});
  Config now = with({"schedule.name=cosine", "train.epochs=10"});
  EXPECT_THAT(schedule_change(before, now, {40, 8}), HasSubstr("now ends at step 80 instead of step 40"));
  now.schedule.steps = 40;
  EXPECT_EQ(schedule_change(before, now, {40, 8}), "");
  Config named = before;
  name_schedule_length(named, now, {40, 8});
  EXPECT_TRUE(changed_keys(named, now).empty());
  now.schedule.steps = 41;
  name_schedule_length(named = before, now, {40, 8});
  EXPECT_THAT(changed_keys(named, now), testing::ElementsAre("schedule.steps was 0, is 41"));
}

TEST(AccumulationOfAResumedRun, FollowsTheRanksWhereMicroBatchesStayTheSame) {
  const Config config = with({"train.global_batch=128", "train.micro_batch=16", "train.accumulation=4"});
  TrainOptions two = config, four = config;
  EXPECT_EQ(follow_ranks(two, 2), "");
  EXPECT_EQ(two.train.accumulation, 4);
  EXPECT_EQ(follow_ranks(four, 4), "train.accumulation = 4 was for another number of ranks: on 4 it is 2.");
  EXPECT_EQ(four.train.accumulation, 0);
  TrainOptions without_size = with({"train.global_batch=96", "train.accumulation=5"});
  EXPECT_EQ(follow_ranks(without_size, 1), "");
  EXPECT_EQ(without_size.train.accumulation, 5) << "it is the size, and does not fit";
}

class ResumedRun : public WholeRun {
 protected:
  static ProgramResult run(const std::string& name, int ranks, const std::vector<std::string>& settings,
                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / name};
    for (const std::string& word :
         set({"data.train=" + (*folder_ / "digits.h5") + ":/train", "model.name=mlp", "run.device=cpu",
              "run.reproducible=true", "train.global_batch=128"}))
      arguments.push_back(word);
    for (const std::string& word : set(settings)) arguments.push_back(word);
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program(lockstep_command(ranks, arguments), folder_->path());
  }
  static inline const std::vector<std::string> kResume = {"--resume", "auto"};
};

TEST_F(ResumedRun, GoesOnWithItsAccumulationOnOtherRanks) {
  const std::vector<std::string> settings = {"train.micro_batch=16", "train.accumulation=4"};
  const auto with_steps = [&](const std::string& steps) {
    std::vector<std::string> all = settings;
    all.push_back("train.steps=" + steps);
    return all;
  };
  ASSERT_EQ(run("parts", 2, with_steps("5")).exit_code, 0);
  const ProgramResult resumed = run("parts", 4, with_steps("9"), kResume);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("train.accumulation = 4 was for another number of ranks: on 4 it is 2"));
  ASSERT_EQ(run("whole", 2, with_steps("9")).exit_code, 0);
  EXPECT_EQ(events("parts").back().at("weights_hash"), events("whole").back().at("weights_hash"));
}

TEST_F(ResumedRun, ALongerScheduleIsToldAndTheOldOneCanBeKept) {
  const std::string name = "schedule";
  ASSERT_EQ(run(name, 1, {"schedule.name=cosine", "train.steps=8"}).exit_code, 0);
  fs::copy(*folder_ / name, *folder_ / "kept", fs::copy_options::recursive);
  const ProgramResult longer = run(name, 1, {"schedule.name=cosine", "train.steps=16"}, kResume);
  EXPECT_EQ(longer.exit_code, 0) << longer.err;
  EXPECT_THAT(longer.err, AllOf(HasSubstr("now ends at step 16 instead of step 8"),
                                HasSubstr("Set schedule.steps = 8 to keep the schedule as it was")));
  const ProgramResult kept =
      run("kept", 1, {"schedule.name=cosine", "train.steps=16", "schedule.steps=8"}, kResume);
  EXPECT_EQ(kept.exit_code, 0) << kept.err;
  EXPECT_EQ(kept.err, "");
  for (const json& event : events("kept"))
    if (event["event"] == "step" && event["step"] > 8) {
      EXPECT_EQ(event["lr"], 0.0);
    }
}

TEST_F(ResumedRun, SaysThatTheNewestCheckpointIsGone) {
  const std::string name = "gone", checkpoints = *folder_ / name + "/checkpoints/";
  ASSERT_EQ(run(name, 1, {"train.steps=4", "checkpoint.every_steps=2"}).exit_code, 0);
  fs::remove(checkpoints + "step-00000004.h5");
  const ProgramResult older = run(name, 1, {"train.steps=6"}, kResume);
  EXPECT_EQ(older.exit_code, 0) << older.err;
  EXPECT_THAT(older.err, HasSubstr("checkpoints/latest names step-00000004.h5, which is gone: " +
                                   checkpoints + "step-00000002.h5 is used in its place"));
}

TEST_F(ResumedRun, IsRefusedWhenNoCheckpointIsLeft) {
  const std::string name = "none-left", checkpoints = *folder_ / name + "/checkpoints/";
  ASSERT_EQ(run(name, 1,
                {"train.steps=4", "data.validation_split=0.1", "checkpoint.every_steps=4", "train.epochs=1",
                 "train.steps=8"})
                .exit_code,
            0);
  for (const std::string file : {"step-00000004.h5", "step-00000008.h5"}) fs::remove(checkpoints + file);
  const std::vector<std::string> settings = {"data.validation_split=0.1", "train.steps=10"};
  const ProgramResult refused = run(name, 1, settings, kResume);
  EXPECT_EQ(refused.exit_code, 3) << refused.out;
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("latest names step-00000008.h5, but no checkpoint of this run is left"),
                    HasSubstr("resume from " + checkpoints + "best.h5, or remove")));
  // The remedies.
  EXPECT_EQ(run("other", 1, settings, {"--resume", checkpoints + "best.h5"}).exit_code, 0);
  fs::remove(checkpoints + "latest");
  const ProgramResult anew = run(name, 1, settings, kResume);
  EXPECT_EQ(anew.exit_code, 0) << anew.err;
  EXPECT_THAT(anew.err, HasSubstr("holds a run that has saved no checkpoint: it starts from the beginning"));
  EXPECT_EQ(events(name).front().at("step"), 1);
}

TEST_F(ResumedRun, AFolderWithoutARunStartsOneSilently) {
  const ProgramResult result = run("first", 1, {"train.steps=2"}, kResume);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
}

}  // namespace
}  // namespace lockstep
