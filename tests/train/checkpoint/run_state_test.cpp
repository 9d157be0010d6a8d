#include "src/train/checkpoint/run_state.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

StepMetrics step_of(double loss, int64_t samples, bool is_finite,
                    const std::vector<double>& output_losses = {}) {
  StepMetrics metrics;
  metrics.loss = loss;
  metrics.samples = samples;
  metrics.is_finite = is_finite;
  metrics.output_losses = output_losses;
  return metrics;
}

TEST(RunState, TheEpochsLossIsTheMeanOverTheSamplesOfFiniteSteps) {
  RunState state;
  state.count(step_of(2.0, 8, true));
  state.count(step_of(NAN, 8, false));
  state.count(step_of(5.0, 4, true));
  EXPECT_DOUBLE_EQ(state.epoch_loss(), (2.0 * 8 + 5.0 * 4) / 12);
  EXPECT_EQ(state.epoch_samples, 20) << "skipped or not";
}

TEST(RunState, SoIsThatOfEachOutput) {
  RunState state;
  state.count(step_of(2.0, 8, true, {1.5, 3.0}));
  state.count(step_of(NAN, 8, false, {1.0, NAN}));
  state.count(step_of(5.0, 4, true, {4.0, 6.0}));
  ASSERT_EQ(state.output_losses().size(), 2u);
  EXPECT_DOUBLE_EQ(state.output_losses()[0], (1.5 * 8 + 4.0 * 4) / 12);
  EXPECT_DOUBLE_EQ(state.output_losses()[1], (3.0 * 8 + 6.0 * 4) / 12);
  state.start_epoch();
  EXPECT_TRUE(state.output_losses().empty());
}

TEST(RunState, CountsSkippedStepsOfTheRunAndInARow) {
  RunState state;
  for (const bool is_finite : {false, true, false, false}) state.count(step_of(1, 8, is_finite));
  EXPECT_EQ(state.skipped.count, 3);
  EXPECT_EQ(state.skipped.in_a_row, 2);
  state.count(step_of(1, 8, true));
  EXPECT_EQ(state.skipped.in_a_row, 0);
}

TEST(RunState, AnOverflowIsSkippedButNotCountedInARow) {
  RunState state;
  StepMetrics overflow = step_of(1, 8, false);
  overflow.overflowed = true;
  overflow.loss_scale = {32768, 0};
  state.count(step_of(1, 8, false));
  state.count(overflow);
  EXPECT_EQ(state.skipped.count, 2);
  EXPECT_EQ(state.skipped.in_a_row, 1);
  EXPECT_EQ(state.loss_scale.factor, 32768);
}

TEST(RunState, ANewEpochForgetsTheLossAndNotTheSkippedSteps) {
  RunState state;
  state.count(step_of(1, 8, false));
  EXPECT_TRUE(std::isnan(state.epoch_loss())) << "of no step";
  state.start_epoch();
  state.count(step_of(3, 4, true));
  EXPECT_DOUBLE_EQ(state.epoch_loss(), 3);
  EXPECT_EQ(state.epoch_samples, 4);
  EXPECT_EQ(state.skipped.count, 1);
}

}  // namespace
}  // namespace lockstep
