#include "src/train/observe/step_clock.h"

#include <gtest/gtest.h>

#include "tests/support/mpi_world.h"
#include "tests/train/made_up_data.h"

namespace lockstep {
namespace {

class MpiStepClock : public MpiBackendTest {
 protected:
  void SetUp() override {
    MpiBackendTest::SetUp();
    if (IsSkipped()) return;
    TrainOptions options;
    options.run.threads = 1;
    options.train.global_batch = 16;
    setup_.emplace(world, exec(), options, made_up_data(), small_mlp());
    clock_.emplace(exec(), setup_->pool.lanes(), setup_->step, setup_->communicator, nullptr);
    clock_->start();
  }
  void run(int64_t steps) {
    const MadeUpBatch batch(exec(), setup_->batching, world.rank());
    for (int64_t step = 0; step < steps; ++step) {
      clock_->begin_step();
      clock_->has_batch(steps_);
      timed_ += clock_->times_step() ? 1 : 0;
      setup_->step.run(batch.batch(), steps_ + 1, 1e-3, {}, clock_->times_step());
      clock_->end_step();
      ++steps_;
    }
    setup_->step.flush();
  }

  std::optional<TrainingSetup> setup_;
  std::optional<StepClock> clock_;
  int64_t steps_ = 0, timed_ = 0;
};
INSTANTIATE_FOR_BACKENDS(MpiStepClock);

TEST_P(MpiStepClock, SplitsAllOfAStepsTime) {
  run(20);
  EXPECT_GT(clock_->step_seconds(), 0);
  const StepComparison newest = clock_->compare_newest(world, {}, {});
  ASSERT_TRUE(newest.steps);
  EXPECT_EQ(newest.steps->steps, 20);
  EXPECT_EQ(newest.steps->ranks, world.size());
  EXPECT_GT(newest.steps->mean.compute, 0);
  EXPECT_EQ(timed_, exec().on_cuda() ? 1 : 20) << "on a GPU, timing a step makes the host wait for it";
  EXPECT_EQ(newest.steps->mean.read, 0) << "the loader has waited for nothing";
  EXPECT_FALSE(clock_->compare_newest(world, {}, {}).steps) << "no step since";
}

TEST_P(MpiStepClock, TheWholeRunIsAllStepsComparedOrNot) {
  EXPECT_FALSE(clock_->compare_all(world, {}, {}).steps) << "no step yet";
  run(3);
  clock_->compare_newest(world, {}, {});
  run(4);
  const StepComparison all = clock_->compare_all(world, {}, {});
  ASSERT_TRUE(all.steps);
  EXPECT_EQ(all.steps->steps, 7);
}

}  // namespace
}  // namespace lockstep
