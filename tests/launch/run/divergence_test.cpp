#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "src/device/devices.h"
#include "src/ops/supported.h"
#include "tests/io/data_files.h"
#include "tests/launch/run/whole_run.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int64_t kSamples = 64, kBad = 37;

/// Runs with steps that are not finite.
class DivergenceTest : public WholeRun {
 protected:
  static void SetUpTestSuite() {
    WholeRun::SetUpTestSuite();
    write("bad.h5", 4, -3e38f);
  }
  /// Samples of `width` numbers, one of which holds `value` throughout.
  static void write(const std::string& name, int64_t width, float value) {
    std::vector<float> x(static_cast<size_t>(kSamples * width));
    for (size_t i = 0; i < x.size(); ++i) x[i] = 0.1f * static_cast<float>(i % 17);
    std::fill_n(x.begin() + kBad * width, width, value);
    std::vector<int32_t> y(kSamples);
    for (int64_t i = 0; i < kSamples; ++i) y[static_cast<size_t>(i)] = static_cast<int32_t>(i % 3);
    put(*folder_ / name, "/train/x", {kSamples, width}, x);
    put(*folder_ / name, "/train/y", {kSamples}, y);
  }
  static std::string data(const std::string& file) { return "data.train=" + (*folder_ / file) + ":/train"; }

  static ProgramResult run(const std::string& name, int ranks, const std::vector<std::string>& settings,
                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"train", "--run", *folder_ / name};
    for (const std::string& setting :
         set({"model.name=mlp", "run.device=cpu", "run.threads=1", "train.global_batch=16"}))
      arguments.push_back(setting);
    for (const std::string& setting : set(settings)) arguments.push_back(setting);
    arguments.insert(arguments.end(), more.begin(), more.end());
    std::vector<std::string> command = lockstep_command(ranks, arguments);
    command.insert(command.begin(), {"env", "LOCKSTEP_EMULATED_GPUS=4"});
    return run_program(command, folder_->path());
  }
  static bool has_gpus(int count) { return static_cast<int>(find_devices().gpus.size()) >= count; }
  static json diagnosis(const std::string& name) {
    std::ifstream file(*folder_ / name + "/diagnosis.json");
    return parse_json(std::string(std::istreambuf_iterator<char>(file), {}));
  }
  /// A run with the bad sample, which skips; its end.
  static json skip(const std::string& name, int ranks, const std::vector<std::string>& settings,
                   const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {data("bad.h5"),        "train.on_nan=skip", "run.reproducible=true",
                                    "optimizer.name=adam", "train.epochs=3",    "train.micro_batch=4"};
    all.insert(all.end(), settings.begin(), settings.end());
    const ProgramResult result = run(name, ranks, all, more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return events(name).back();
  }
};

TEST_F(DivergenceTest, ALearningRateThatIsTooLargeNamesTheStepItsSamplesAndALayer) {
  struct Case {
    std::string name;
    int ranks;
    std::vector<std::string> settings;
  };
  std::vector<Case> cases = {{"lr-1", 1, {}}, {"lr-2", 2, {}}};
  // Whose weights have to be gathered for the hash.
  if (why_unsupported({}, Precision::bf16).empty())
    cases.push_back({"lr-2-sharded", 2, {"run.precision=bf16", "optimizer.sharded=true"}});
  for (const auto& [name, ranks, more] : cases) {
    std::vector<std::string> settings = {data("digits.h5"), "optimizer.name=sgd", "optimizer.lr=1e30"};
    settings.insert(settings.end(), more.begin(), more.end());
    const ProgramResult result = run(name, ranks, settings);
    EXPECT_EQ(result.exit_code, 5) << result.err;
    EXPECT_THAT(result.err, HasSubstr("was the first with a non-finite output"));
    EXPECT_THAT(result.err, HasSubstr("diagnosis.json"));
    const json found = diagnosis(name);
    const int64_t step = found.at("step");
    EXPECT_THAT(result.err, HasSubstr("at step " + std::to_string(step)));
    EXPECT_EQ(step, 2) << "the first step's update is finite, and what it leads to is not";
    EXPECT_EQ(std::set<int64_t>(found.at("samples").begin(), found.at("samples").end()).size(), 16u);
    EXPECT_EQ(found.at("pass"), "forward");
    EXPECT_EQ(found.at("tensor"), found.at("layer").get<std::string>() + ".output");
    EXPECT_EQ(events(name).back().at("reason"), "diverged");
    // The step changed nothing, so the weights are those of a run of one step.
    settings.emplace_back("train.steps=1");
    const ProgramResult one = run(name + "-one", ranks, settings);
    EXPECT_EQ(one.exit_code, 0) << one.err;
    EXPECT_EQ(events(name + "-one").back().at("weights_hash"), events(name).back().at("weights_hash"));
  }
}

TEST_F(DivergenceTest, ASampleThatOverflowsIsNamedAndSoIsTheFirstLayer) {
  for (const int ranks : {1, 2, 4}) {
    for (const std::string device : {"cpu", "cuda"}) {
      if (ranks == 4 && device == "cuda") continue;
      if (device == "cuda" && !has_gpus(ranks)) continue;
      const std::string name = "bad-" + device + std::to_string(ranks);
      const ProgramResult result = run(name, ranks, {data("bad.h5"), "run.device=" + device});
      EXPECT_EQ(result.exit_code, 5) << result.err;
      EXPECT_THAT(result.err, HasSubstr("Sample 37 of data.train holds -3e+38"));
      const json found = diagnosis(name);
      EXPECT_EQ(found.at("largest_input").at("sample"), kBad);
      EXPECT_EQ(found.at("sample"), kBad);
      EXPECT_EQ(found.at("pass"), "forward");
      EXPECT_EQ(found.at("layer"), "linear1");
      const json& samples = found.at("samples");
      EXPECT_NE(std::find(samples.begin(), samples.end(), json(kBad)), samples.end());
    }
  }
}

TEST_F(DivergenceTest, GradientsAloneAreSeenWithAFiniteLoss) {
  // So wide that no gradient overflows, but their norm.
  write("wide.h5", 6400, 5e37f);
  std::ofstream(*folder_ / "linear.toml") << "[[layer]]\nkind = \"linear\"\noutputs = \"classes\"\n";
  const ProgramResult result = run("gradients", 2,
                                   {data("wide.h5"), "model.file=" + (*folder_ / "linear.toml"),
                                    "train.global_batch=2", "train.label_smoothing=0.3"});
  EXPECT_EQ(result.exit_code, 5) << result.err;
  const json found = diagnosis("gradients");
  EXPECT_TRUE(found.at("loss").is_number()) << found;
  EXPECT_EQ(found.at("gradient_norm"), "inf") << found;
  EXPECT_EQ(found.at("largest_input").at("sample"), kBad);
}

TEST_F(DivergenceTest, SkippingGivesOneHashForAnyNumberOfRanksAndIsCounted) {
  const json one = skip("skip-1", 1, {});
  EXPECT_EQ(one.at("reason"), "finished");
  EXPECT_EQ(one.at("skipped_steps"), 3);
  int64_t skipped = 0;
  for (const json& event : events("skip-1")) {
    if (event.at("event") == "step" && event.contains("skipped")) ++skipped;
    if (event.at("event") == "epoch") {
      EXPECT_TRUE(event.at("train_loss").is_number());
      EXPECT_EQ(event.at("skipped_steps"), event.at("epoch"));
    }
  }
  EXPECT_EQ(skipped, 3);
  for (const int ranks : {2, 4}) {
    const std::string name = "skip-" + std::to_string(ranks);
    EXPECT_EQ(skip(name, ranks, {}).at("weights_hash"), one.at("weights_hash"));
    EXPECT_EQ(skip(name + "-sharded", ranks, {"optimizer.sharded=true"}).at("weights_hash"),
              one.at("weights_hash"));
  }
}

TEST_F(DivergenceTest, SkippingOnGpusGivesOneHashToo) {
  if (!has_gpus(2)) GTEST_SKIP() << "fewer than two GPUs";
  const json one = skip("gpu-1", 1, {"run.device=cuda"});
  EXPECT_EQ(one.at("skipped_steps"), 3);
  EXPECT_EQ(skip("gpu-uncaptured", 1, {"run.device=cuda", "run.capture=false"}).at("weights_hash"),
            one.at("weights_hash"));
  for (const std::string sharded : {"false", "true"})
    EXPECT_EQ(
        skip("gpu-2-" + sharded, 2, {"run.device=cuda", "optimizer.sharded=" + sharded}).at("weights_hash"),
        one.at("weights_hash"));
}

TEST_F(DivergenceTest, SkippedStepsAreCountedOnWhenARunIsResumed) {
  const json whole = skip("whole", 1, {});
  skip("parts", 2, {"train.steps=7", "checkpoint.every_steps=1"});
  EXPECT_EQ(skip("parts", 1, {"train.steps=12"}, {"--resume", "auto"}).at("weights_hash"),
            whole.at("weights_hash"));
  EXPECT_EQ(events("parts").back().at("skipped_steps"), 3);
}

TEST_F(DivergenceTest, TenSkippedStepsInARowEndTheRun) {
  const ProgramResult result =
      run("ten", 2, {data("digits.h5"), "optimizer.name=sgd", "optimizer.lr=1e30", "train.on_nan=skip"});
  EXPECT_EQ(result.exit_code, 5) << result.err;
  EXPECT_THAT(result.err, HasSubstr("at step 11 (epoch 1), the 10th such step in a row"));
  EXPECT_EQ(events("ten").back().at("skipped_steps"), 10);
  EXPECT_EQ(diagnosis("ten").at("step"), 11);
}

TEST_F(DivergenceTest, WithoutBadStepsNothingIsSkipped) {
  const ProgramResult result = run("good", 1, {data("digits.h5"), "train.steps=5", "train.on_nan=skip"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(events("good").back().contains("skipped_steps"));
  EXPECT_FALSE(std::filesystem::exists(*folder_ / "good/diagnosis.json"));
  EXPECT_THAT(result.err, Not(HasSubstr("skipped")));
}

}  // namespace
}  // namespace lockstep
