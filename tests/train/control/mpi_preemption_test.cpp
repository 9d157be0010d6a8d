#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>

#include "models/registry.h"
#include "src/train/run/trainer.h"
#include "tests/io/data_files.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

/// Three epochs of six steps, with validation that is long enough to be stopped, early stopping that only
/// counts, and a test.
class MpiPreemption : public MpiBackendTest {
 protected:
  void SetUp() override {
    MpiBackendTest::SetUp();
    if (IsSkipped()) return;
    constexpr int64_t kSamples = 44, kOthers = 100;
    file_ = world.broadcast(folder_ / "data.h5");
    if (world.rank() == 0) {
      put(file_, "/train/x", {kSamples, 4}, counting<float>(kSamples * 4, 7));
      put(file_, "/train/y", {kSamples}, counting<int32_t>(kSamples, 3));
      put(file_, "/other/x", {kOthers, 4}, counting<float>(kOthers * 4, 5));
      put(file_, "/other/y", {kOthers}, counting<int32_t>(kOthers, 3));
    }
    world.barrier();
  }

  /// What a run, or a run and its continuation, told.
  struct Told {
    EndEvent end;
    std::map<int64_t, double> train_loss, validation_loss;  ///< by epoch
    std::map<int64_t, double> loss;                         ///< by step
  };

  /// Goes on with the run in `name` until its end, or until rank `asking` has been asked for the `when`th
  /// time whether to stop (0: for ever). Returns how often this rank was asked.
  int go_on(const std::string& name, Told& told, int asking, int when, bool capture) {
    TrainOptions options;
    options.run.dir = world.broadcast(folder_ / name);
    options.run.threads = 1;
    options.run.reproducible = true;
    options.run.capture = capture;
    options.data.train = {.files = {file_}};
    options.data.validation = options.data.test =
        DataSource{.files = {file_}, .x = "/other/x", .y = "/other/y"};
    options.train.epochs = 3;
    options.train.global_batch = 8;
    options.train.micro_batch = 2;
    options.train.early_stop = EarlyStopSpec{.metric = "validation_loss", .patience = 100};
    if (world.rank() == 0) std::filesystem::create_directories(options.run.dir + "/checkpoints");
    world.barrier();
    std::optional<ResumeFrom> resume;
    if (std::optional<LoadedCheckpoint> newest = load_newest_checkpoint(options.run.dir))
      resume = ResumeFrom{*std::move(newest)};
    const ModelFactory model = [](const Value& input, const NetworkOutput& output) {
      return build_model({.name = "mlp", .keys = {{"hidden", std::vector<int64_t>{8}}}}, input, output, 1);
    };
    TrainObserver observer;
    observer.on_step = [&](const StepEvent& event) { told.loss[event.step] = event.loss; };
    observer.on_epoch = [&](const EpochEvent& event) {
      EXPECT_FALSE(told.train_loss.contains(event.epoch)) << "told twice";
      told.train_loss[event.epoch] = event.train_loss;
      told.validation_loss[event.epoch] = event.validation->loss;
    };
    int asked = 0;
    const StopConditions stop{.asked = [&]() -> std::string {
      ++asked;
      return world.rank() == asking && when > 0 && asked >= when ? "SIGTEST" : "";
    }};
    told.end = Trainer(world, exec(), options, model, resume).run(observer, stop);
    return asked;
  }

  TemporaryFolder folder_;
  std::string file_;
};
INSTANTIATE_FOR_BACKENDS(MpiPreemption);

TEST_P(MpiPreemption, AtEveryMomentARunCanBeStoppedAndGoesOnAsIfItHadNotBeen) {
  Told whole;
  const int moments = go_on("whole", whole, 0, 0, true);
  ASSERT_EQ(whole.end.reason, "finished");
  ASSERT_GT(moments, 18 + 3) << "asked during evaluation too";
  int preempted = 0;
  // An emulated GPU is slow.
  const int stride = exec().on_cuda() ? 11 : 2;
  for (int when = 1; when <= moments; when += stride) {
    const std::string name = "stopped-" + std::to_string(when);
    Told told;
    const int asking = when % world.size();
    go_on(name, told, asking, when, /*capture=*/when % 2 == 0);
    if (told.end.reason == "preempted") {
      ++preempted;
      EXPECT_EQ(told.end.cause, world.rank() == asking ? "SIGTEST" : "requested by another rank");
      EXPECT_FALSE(told.end.test);
      EXPECT_FALSE(find_checkpoints(world.broadcast(folder_ / name)).empty());
      go_on(name, told, 0, 0, true);
    }
    EXPECT_EQ(told.end.reason, "finished") << when;
    EXPECT_EQ(told.end.step, 18);
    EXPECT_EQ(told.end.weights_hash, whole.end.weights_hash) << when;
    ASSERT_TRUE(told.end.test);
    EXPECT_EQ(told.end.test->loss, whole.end.test->loss) << when;
    EXPECT_EQ(told.loss, whole.loss) << when;
    EXPECT_EQ(told.train_loss, whole.train_loss) << when;
    EXPECT_EQ(told.validation_loss, whole.validation_loss) << when;
  }
  EXPECT_EQ(preempted, (moments + stride - 1) / stride);
}

}  // namespace
}  // namespace lockstep
