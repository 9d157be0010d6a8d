#include "src/ops/step_guard.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(StepGuardRule, AGoodStepStartsTheCountAgainUnlessThereWereTooMany) {
  StepGuard guard;
  const auto judge = [&](bool is_bad) {
    guard.judge(is_bad, /*overflowed=*/false, 2);
    return guard.applies;
  };
  EXPECT_EQ(judge(false), 1);
  EXPECT_EQ(judge(true), 0);
  EXPECT_EQ(judge(false), 1);
  EXPECT_EQ(judge(true), 0);
  EXPECT_EQ(judge(true), 0);
  for (const bool is_bad : {false, true, false, false}) EXPECT_EQ(judge(is_bad), 0);
}

TEST(LossScaleRule, HalvesAfterAnOverflowAndDoublesAfterManyGoodSteps) {
  LossScale scale{.factor = LossScale::kInitial};
  scale.after_step(/*overflowed=*/true);
  EXPECT_EQ(scale.factor, LossScale::kInitial / 2);
  for (int32_t step = 1; step < LossScale::kGrowthSteps; ++step) scale.after_step(false);
  EXPECT_EQ(scale.factor, LossScale::kInitial / 2);
  scale.after_step(false);
  EXPECT_EQ(scale.factor, LossScale::kInitial);
  EXPECT_EQ(scale.good_steps, 0);
}

TEST(LossScaleRule, StaysWithinItsLimits) {
  LossScale scale{.factor = LossScale::kMax};
  for (int32_t step = 0; step < LossScale::kGrowthSteps; ++step) scale.after_step(false);
  EXPECT_EQ(scale.factor, LossScale::kMax);
  for (int step = 0; step < 100; ++step) scale.after_step(true);
  EXPECT_EQ(scale.factor, LossScale::kMin);
  EXPECT_FALSE(scale.may_overflow());
  LossScale none;
  none.after_step(true);
  EXPECT_EQ(none.factor, 0);
  EXPECT_EQ(none.inverse(), 1);
  EXPECT_EQ((LossScale{.factor = 0x1p16f}.inverse()), 0x1p-16f);
}

}  // namespace
}  // namespace lockstep
