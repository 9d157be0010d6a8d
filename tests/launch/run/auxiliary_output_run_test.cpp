#include <gmock/gmock.h>

#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

/// Trainings of the example with an auxiliary output.
class AuxiliaryOutputRun : public WholeRun {
 protected:
  static std::vector<std::string> settings(std::vector<std::string> more = {}, int steps = 12) {
    more.insert(more.end(), {"model.file=" LOCKSTEP_SOURCE_DIR "/examples/auxiliary-net.toml",
                             "run.threads=1", "run.reproducible=true", "train.micro_batch=32",
                             "data.validation_split=0.1", "train.steps=" + std::to_string(steps)});
    return set(more);
  }
  /// What does not depend on time: losses, metrics and the hash.
  static std::vector<json> numbers(std::vector<json> events) {
    for (json& event : events)
      for (const char* const key :
           {"samples_per_s", "seconds", "save_seconds", "saves", "peak_host_bytes", "peak_device_bytes",
            "memory", "step_ms", "slowest_rank", "slowest_rank_step_ms"})
        event.erase(key);
    return events;
  }
  static ProgramResult program(const std::vector<std::string>& arguments, int ranks = 1) {
    return run_program(lockstep_command(ranks, arguments), folder_->path());
  }
};

TEST_F(AuxiliaryOutputRun, HasTheSameBitsOnAnyNumberOfRanksAndRecomputed) {
  const std::vector<json> alone = numbers(train("one", 1, settings()));
  EXPECT_EQ(numbers(train("two", 2, settings())), alone);
  EXPECT_EQ(numbers(train("four", 4, settings())), alone);
  EXPECT_EQ(numbers(train("again", 2, settings({"train.recompute=[\"*\"]"}))), alone);
}

TEST_F(AuxiliaryOutputRun, LeavesFrozenLayersAsTheyAreOnAnyNumberOfRanks) {
  const auto with = [](int steps) { return settings({"optimizer.freeze=[\"conv2d_1\"]"}, steps); };
  const std::vector<json> alone = numbers(train("frozen", 1, with(12)));
  EXPECT_EQ(numbers(train("frozen on two", 2, with(12))), alone);
  EXPECT_NE(alone.back().at("weights_hash"), train("free", 1, settings()).back().at("weights_hash"));
  train("frozen for a step", 1, with(1));
  const char* const frozen = "model/conv2d_1.weight";
  EXPECT_EQ(tensors_of(*folder_ / "frozen").at(frozen),
            tensors_of(*folder_ / "frozen for a step").at(frozen));
}

TEST_F(AuxiliaryOutputRun, ReportsTheLossOfEachOutputAndEvaluatesTheMainOne) {
  const std::vector<json> events =
      train("reported", 1, settings({"train.class_weights=balanced", "train.metrics=[\"accuracy\"]"}));
  int reports = 0;
  for (const json& event : events) {
    if (event["event"] == "end") continue;
    const bool is_step = event["event"] == "step";
    const json& output = event.at("output_loss");
    ASSERT_EQ(output.size(), 2u);
    const double sum = output["scores"].get<double>() + 0.3 * output["auxiliary"].get<double>();
    EXPECT_NEAR(event[is_step ? "loss" : "train_loss"].get<double>(), sum, 1e-5 * sum);
    ++reports;
  }
  EXPECT_EQ(reports, 12 + 1) << "steps, and an epoch of 8";

  const ProgramResult evaluated = program({"eval", *folder_ / "reported", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_EQ(parse_json(evaluated.out).at("loss"), events.back().at("test_loss"));
  const ProgramResult predicted =
      program({"predict", *folder_ / "reported", "--data", *folder_ / "digits.h5" + ":/test", "--out",
               *folder_ / "answers.h5"});
  EXPECT_EQ(predicted.exit_code, 0) << predicted.err;
  std::ifstream log(*folder_ / "reported" + "/log.txt");
  const std::string text((std::istreambuf_iterator<char>(log)), {});
  EXPECT_THAT(text, HasSubstr("outputs: scores (main, loss x 1), auxiliary (loss x 0.3)"));
  EXPECT_THAT(text, testing::ContainsRegex("train loss [0-9.]+ \\(scores [0-9.]+, auxiliary [0-9.]+\\)"));
}

TEST_F(AuxiliaryOutputRun, AResumedEpochReportsTheLossesOfAllItsSteps) {
  const auto epoch_of = [](const std::vector<json>& events) {
    for (const json& event : events)
      if (event["event"] == "epoch") return event.at("output_loss");
    return json();
  };
  const json whole = epoch_of(train("whole", 1, settings()));
  train("parts", 1, settings({}, 5));
  const ProgramResult resumed =
      program({"train", "--resume", *folder_ / "parts", "--set", "train.steps=12"}, 2);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(epoch_of(events("parts")), whole);
}

TEST_F(AuxiliaryOutputRun, ModelShowNamesTheOutput) {
  const std::string file = LOCKSTEP_SOURCE_DIR "/examples/auxiliary-net.toml";
  const ProgramResult shown = program({"model", "show", file});
  EXPECT_THAT(shown.out, HasSubstr("\noutputs      scores (main, loss x 1), auxiliary (loss x 0.3)\n"));
  const json parsed = parse_json(program({"model", "show", file, "--json"}).out);
  for (const json& layer : parsed.at("layers"))
    EXPECT_EQ(layer.value("loss_weight", 0.0), layer["name"] == "auxiliary" ? 0.3 : 0.0) << layer["name"];
}

}  // namespace
}  // namespace lockstep
