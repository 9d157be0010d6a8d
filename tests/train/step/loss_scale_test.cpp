#include <gtest/gtest.h>

#include "src/train/step/step.h"
#include "tests/train/tiny_run.h"

// The scale of the loss, with which fp16 trains.

namespace lockstep {
namespace {

class LossScaleTest : public test::BackendTest {
 protected:
  static constexpr Batching kBatching{12, 4, 3};
  /// The CPU has no fp16, but the same rules.
  TinyOptions scaled() const {
    return {.clip_norm = 0.5,
            .optimizer = "adam",
            .precision = exec().on_cuda() ? Precision::fp16 : Precision::fp32,
            .scales_loss = true};
  }
  /// So large that the gradients of the outputs overflow.
  float too_large() const { return exec().on_cuda() ? 0x1p24f : 0x1p127f * 2; }
  static StepMetrics step(TinyRun& run, int64_t number) {
    run.run(run.make_batch(number, 12).batch);
    return *run.flush();
  }
  static std::vector<std::vector<std::byte>> everything(TinyRun& run) { return run.snapshot().storage; }
};
INSTANTIATE_FOR_BACKENDS(LossScaleTest);

TEST_P(LossScaleTest, ScalingChangesNoBit) {
  TinyOptions options = scaled();
  options.precision = Precision::fp32;
  TinyRun run(exec(), kBatching, options);
  options.scales_loss = false;
  TinyRun plain(exec(), kBatching, options);
  for (int64_t number = 0; number < 4; ++number)
    EXPECT_EQ(step(run, number).gradient_norm, step(plain, number).gradient_norm);
  EXPECT_EQ(everything(run), everything(plain));
}

TEST_P(LossScaleTest, AnOverflowChangesNothingButTheScale) {
  TinyRun run(exec(), kBatching, scaled());
  step(run, 0);
  const std::vector<std::vector<std::byte>> before = everything(run);
  run.resume(0, {.factor = too_large(), .good_steps = 7});
  const StepMetrics overflow = step(run, 1);
  EXPECT_TRUE(overflow.overflowed);
  EXPECT_FALSE(overflow.is_finite);
  EXPECT_TRUE(std::isfinite(overflow.loss));
  EXPECT_EQ(overflow.loss_scale.factor, exec().on_cuda() ? 0x1p23f : LossScale::kMax);
  EXPECT_EQ(overflow.loss_scale.good_steps, 0);
  EXPECT_EQ(everything(run), before);
}

TEST_P(LossScaleTest, TheScaleFallsUntilGradientsFitAndTheRunContinues) {
  TinyRun run(exec(), kBatching, scaled()), from_there(exec(), kBatching, scaled());
  run.resume(0, {.factor = too_large()});
  int64_t number = 0;
  StepMetrics metrics = step(run, number);
  for (; metrics.overflowed && number < 30; metrics = step(run, ++number)) from_there.leave_out_step();
  ASSERT_TRUE(metrics.is_finite);
  ASSERT_GT(number, 0);
  from_there.resume(0, {.factor = metrics.loss_scale.factor});
  for (int64_t again = number; again < number + 3; ++again) {
    step(from_there, again);
    if (again > number) step(run, again);
  }
  EXPECT_EQ(everything(run), everything(from_there));
}

TEST_P(LossScaleTest, ManyGoodStepsDoubleTheScale) {
  TinyRun run(exec(), kBatching, scaled());
  run.resume(0, {.factor = 8, .good_steps = LossScale::kGrowthSteps - 1});
  EXPECT_EQ(step(run, 0).loss_scale.factor, 16);
  const StepMetrics next = step(run, 1);
  EXPECT_EQ(next.loss_scale.factor, 16);
  EXPECT_EQ(next.loss_scale.good_steps, 1);
}

}  // namespace
}  // namespace lockstep
