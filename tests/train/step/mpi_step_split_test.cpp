#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "models/registry.h"
#include "src/train/run/trainer.h"
#include "src/train/step/step_split.h"
#include "tests/io/data_files.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class MpiStepSplit : public MpiBackendTest {};
INSTANTIATE_FOR_BACKENDS(MpiStepSplit);

TEST(MpiStepSplitRecorder, SharesOutEachSecondOnce) {
  World& world = test_world();
  StepSplitRecorder recorder;
  const Loader::Seconds before{.waited = 1, .read = 30, .decode = 10};
  recorder.add(1.5);
  recorder.add_parts(0, 0.5, 0);
  recorder.gather(world, before);  // what follows must not count this again

  // In each of the steps another rank is late: it stands still 0.001 s, the others 0.003 s. More steps than
  // are kept one by one.
  const int64_t steps = 70001;
  double in_sums = 0, least = 0;
  for (int64_t step = 0; step < steps; ++step) {
    const double mine = step % world.size() == world.rank() ? 0.001 : 0.003;
    recorder.add(0.010);
    recorder.add_parts(0.0005, 0.0075 - mine, mine);
    in_sums += mine;
    least += 0.001;
  }
  EXPECT_EQ(recorder.steps_since_gather(), steps);
  const StepReport report = recorder.gather(world, {.waited = 1 + 0.002 * steps, .read = 60, .decode = 20});
  EXPECT_EQ(recorder.steps_since_gather(), 0);
  EXPECT_EQ(report.steps, steps);
  EXPECT_EQ(report.ranks, world.size());
  // Neighbouring steps that are added hide a little: their least is no rank's twice the least.
  const double communication = report.mean.communication * steps;
  EXPECT_GE(communication, least - 1e-6);
  if (world.size() == 1) {
    EXPECT_NEAR(communication, in_sums, 1e-6);
  }
  EXPECT_NEAR(report.mean.total(), 0.010, 1e-9) << "the parts are the whole";
  EXPECT_NEAR(report.mean.read, 0.0015, 1e-9) << "three quarters of the readers' time";
  EXPECT_NEAR(report.mean.decode, 0.0005, 1e-9);
  EXPECT_NEAR(report.mean.copy, 0.0005, 1e-9);
  EXPECT_EQ(recorder.whole_run().steps, steps + 1);
  EXPECT_NEAR(recorder.whole_run().mean.total() * (steps + 1), 0.010 * steps + 1.5, 1e-5);
}

TEST(MpiStepSplitRecorder, WaitIsWhatRanksStandStillLongerThanTheLeast) {
  World& world = test_world();
  StepSplitRecorder recorder;
  double mine = 0;
  for (int step = 0; step < 100; ++step) {
    const double in_sums = step % world.size() == world.rank() ? 0.001 : 0.003;
    mine += in_sums;
    recorder.add(0.010);
    recorder.add_parts(0, 0.010 - in_sums, in_sums);
  }
  const StepReport report = recorder.gather(world, {});
  std::vector<double> all = {mine};
  world.sum(all);
  EXPECT_NEAR(report.mean.communication, 0.001, 1e-9);
  EXPECT_NEAR(report.mean.wait, all[0] / world.size() / 100 - 0.001, 1e-9);
  EXPECT_NEAR(report.mean.compute, 0.010 - all[0] / world.size() / 100, 1e-9);
}

TEST(MpiStepSplitRecorder, AFewStepsStandForTheOthers) {
  World& world = test_world();
  StepSplitRecorder recorder;
  recorder.add(0.5);
  EXPECT_NEAR(recorder.gather(world, {.waited = 0.2}).mean.compute, 0.3, 1e-9) << "nothing is known yet";

  const double late = world.rank() == 0 ? 0 : 0.002;  // rank 0 is the one that the others wait for
  for (int step = 0; step < 32; ++step) {
    recorder.add(0.020);
    if (step % 16 == 2) recorder.add_parts(0.001, 0.009 - late, 0.002 + late);
  }
  const double waited = 0.2 + 32 * 0.004;
  const StepReport report = recorder.gather(world, {.waited = waited, .decode = 1});
  EXPECT_NEAR(report.mean.decode, 0.004, 1e-9);
  EXPECT_NEAR(report.slowest.copy, 0.001, 1e-9);
  EXPECT_NEAR(report.slowest.compute, 0.013, 1e-9) << "and what is missing";
  EXPECT_NEAR(report.slowest.communication, 0.002, 1e-9);
  EXPECT_EQ(report.slowest_rank, 0);
  EXPECT_NEAR(report.mean.wait, 0.002 * (world.size() - 1) / world.size(), 1e-9);

  recorder.add(0.006);
  EXPECT_NEAR(recorder.gather(world, {.waited = waited, .decode = 1}).slowest.compute, 0.0045, 1e-9)
      << "no such step in this epoch, and a faster one";
}

/// A data set that takes its time.
class SlowDataset : public Dataset {
 public:
  SlowDataset(std::unique_ptr<Dataset> inner, milliseconds delay) : inner_(std::move(inner)), delay_(delay) {}
  int64_t size() const override { return inner_->size(); }
  const Shape& x_shape() const override { return inner_->x_shape(); }
  DType x_dtype() const override { return inner_->x_dtype(); }
  TargetKind target_kind() const override { return inner_->target_kind(); }
  const Shape& y_shape() const override { return inner_->y_shape(); }
  int64_t classes() const override { return inner_->classes(); }
  void read(std::span<const int64_t> indices, std::byte* x, std::byte* y) const override {
    std::this_thread::sleep_for(delay_);
    inner_->read(indices, x, y);
  }
  uint64_t fingerprint() const override { return inner_->fingerprint(); }
  bool in_memory() const override { return false; }
  std::string describe() const override { return inner_->describe(); }

 private:
  std::unique_ptr<Dataset> inner_;
  milliseconds delay_;
};

/// Trains one epoch of six steps on random samples. The last rank reads each batch slower by `reading`, and
/// is busy for `working` after each step. Returns the epoch's event.
EpochEvent train(World& world, Exec exec, milliseconds reading, milliseconds working) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "run/checkpoints");
  constexpr int64_t kSamples = 48;
  put(folder / "data.h5", "/train/x", {kSamples, 4}, counting<float>(kSamples * 4, 7));
  put(folder / "data.h5", "/train/y", {kSamples}, counting<int32_t>(kSamples, 3));
  TrainOptions options;
  options.run.dir = folder / "run";
  options.run.threads = 1;
  options.data.train = {.files = {folder / "data.h5"}};
  options.train.epochs = 1;
  options.train.global_batch = 8;
  const bool slow = world.rank() == world.size() - 1;
  TrainerParts parts;
  parts.train = std::make_unique<SlowDataset>(open_dataset(options.data.train, {.probe = false}),
                                              slow ? reading : milliseconds(0));
  const ModelFactory model = [](const Value& input, const NetworkOutput& output) {
    return build_model({.name = "mlp", .keys = {{"hidden", std::vector<int64_t>{8}}}}, input, output, 1);
  };
  std::optional<EpochEvent> epoch;
  TrainObserver observer;
  observer.on_step = [&](const StepEvent&) {
    if (slow) std::this_thread::sleep_for(working);
  };
  observer.on_epoch = [&](const EpochEvent& event) { epoch = event; };
  Trainer(world, exec, options, model, std::nullopt, std::move(parts)).run(observer);
  return *epoch;
}

/// Many times as long as a step takes here and now, where other programs may run too.
milliseconds long_beside_a_step(World& world, Exec exec, milliseconds least) {
  const EpochEvent epoch = train(world, exec, milliseconds(0), milliseconds(0));
  return std::max(least, milliseconds(static_cast<int64_t>(10e3 * epoch.steps->slowest.total())));
}

TEST_P(MpiStepSplit, ARankThatReadsSlowlyIsNamed) {
  const milliseconds reading = long_beside_a_step(world, exec(), milliseconds(150));
  const EpochEvent epoch = train(world, exec(), reading, milliseconds(0));
  EXPECT_EQ(epoch.steps->steps, 6);
  EXPECT_GE(epoch.steps->slowest.read, 0.030) << "the first batches are read ahead, and others during steps";
  if (world.size() == 1) return;
  EXPECT_EQ(epoch.steps->slowest_rank, world.size() - 1);
  ASSERT_TRUE(epoch.straggler);
  EXPECT_THAT(*epoch.straggler, HasSubstr(fmt::format("rank {} (", world.size() - 1)));
  EXPECT_THAT(*epoch.straggler, HasSubstr("read +"));
  EXPECT_THAT(*epoch.straggler, HasSubstr("data.h5)"));
}

TEST_P(MpiStepSplit, ARankThatComputesSlowlyIsNamed) {
  const milliseconds working = long_beside_a_step(world, exec(), milliseconds(60));
  const EpochEvent epoch = train(world, exec(), milliseconds(0), working);
  EXPECT_GE(epoch.steps->slowest.compute, 0.040) << "the first step is reported after the second";
  if (world.size() == 1) return;
  EXPECT_EQ(epoch.steps->slowest_rank, world.size() - 1);
  ASSERT_TRUE(epoch.straggler);
  EXPECT_THAT(*epoch.straggler, HasSubstr(fmt::format("rank {} (", world.size() - 1)));
  EXPECT_THAT(*epoch.straggler, HasSubstr("compute +"));
  EXPECT_GT(epoch.steps->mean.wait, 0.010) << "the others wait for it";
}

}  // namespace
}  // namespace lockstep
