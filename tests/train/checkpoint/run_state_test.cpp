#include "src/train/checkpoint/run_state.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

TEST(RunState, TheEpochsLossIsTheMeanOverTheSamplesOfFiniteSteps) {
  RunState state;
  state.count(2.0, 8, true);
  state.count(NAN, 8, false);
  state.count(5.0, 4, true);
  EXPECT_DOUBLE_EQ(state.epoch_loss(), (2.0 * 8 + 5.0 * 4) / 12);
  EXPECT_EQ(state.epoch_samples, 20) << "skipped or not";
}

TEST(RunState, SoIsThatOfEachOutput) {
  RunState state;
  state.count(2.0, 8, true, {1.5, 3.0});
  state.count(NAN, 8, false, {1.0, NAN});
  state.count(5.0, 4, true, {4.0, 6.0});
  ASSERT_EQ(state.output_losses().size(), 2u);
  EXPECT_DOUBLE_EQ(state.output_losses()[0], (1.5 * 8 + 4.0 * 4) / 12);
  EXPECT_DOUBLE_EQ(state.output_losses()[1], (3.0 * 8 + 6.0 * 4) / 12);
  state.start_epoch();
  EXPECT_TRUE(state.output_losses().empty());
}

TEST(RunState, CountsSkippedStepsOfTheRunAndInARow) {
  RunState state;
  for (const bool is_finite : {false, true, false, false}) state.count(1, 8, is_finite);
  EXPECT_EQ(state.skipped.count, 3);
  EXPECT_EQ(state.skipped.in_a_row, 2);
  state.count(1, 8, true);
  EXPECT_EQ(state.skipped.in_a_row, 0);
}

TEST(RunState, ANewEpochForgetsTheLossAndNotTheSkippedSteps) {
  RunState state;
  state.count(1, 8, false);
  EXPECT_TRUE(std::isnan(state.epoch_loss())) << "of no step";
  state.start_epoch();
  state.count(3, 4, true);
  EXPECT_DOUBLE_EQ(state.epoch_loss(), 3);
  EXPECT_EQ(state.epoch_samples, 4);
  EXPECT_EQ(state.skipped.count, 1);
}

}  // namespace
}  // namespace lockstep
