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
