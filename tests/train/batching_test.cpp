#include "src/train/batching.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/core/error.h"

namespace lockstep {
namespace {

TrainOptions options(int64_t global, int64_t micro, int64_t accumulation, bool reproducible) {
  TrainOptions result;
  result.global_batch = global;
  result.micro_batch = micro;
  result.accumulation = accumulation;
  result.reproducible = reproducible;
  return result;
}

std::string refusal(const TrainOptions& o, int ranks, int lanes = 1) {
  try {
    plan_batches(o, ranks, lanes);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
    return e.what();
  }
  return "accepted";
}

TEST(Batching, DefaultModeGivesEachLaneOneMicroBatch) {
  const Batching batching = plan_batches(options(128, 0, 0, false), 2, 2);
  EXPECT_EQ(batching.micro_batch, 32);
  EXPECT_EQ(batching.micro_batches, 2);
  EXPECT_EQ(batching.rank_batch(), 64);
}

TEST(Batching, AccumulationAndMicroBatchAreHonoured) {
  EXPECT_EQ(plan_batches(options(128, 0, 4, false), 2, 1).micro_batch, 16);
  EXPECT_EQ(plan_batches(options(128, 8, 0, false), 2, 1).micro_batches, 8);
  EXPECT_THAT(refusal(options(128, 8, 4, false), 2),
              testing::HasSubstr("2 ranks x micro_batch 8 x accumulation 4 = 64"));
}

TEST(Batching, ImpossibleBatchOffersTheNeighbours) {
  EXPECT_EQ(refusal(options(1000, 8, 0, false), 6),
            "train.global_batch = 1000 does not divide over 6 ranks. Try 996 or 1002.");
  EXPECT_EQ(
      refusal(options(1000, 48, 0, false), 1),
      "train.global_batch = 1000 does not divide over 48 samples a step (1 ranks x 48). Try 960 or 1008.");
  EXPECT_THAT(refusal(options(0, 0, 0, false), 1),
              testing::HasSubstr("train.global_batch = 0 must be positive"));
}

TEST(Batching, ReproducibleModeDoesNotDependOnRanksOrLanes) {
  for (const int ranks : {1, 2, 4})
    for (const int lanes : {1, 2, 3}) {
      const Batching batching = plan_batches(options(128, 0, 0, true), ranks, lanes);
      EXPECT_EQ(batching.micro_batch, 32);
      EXPECT_EQ(batching.micro_batches, 4 / ranks);
    }
  EXPECT_EQ(plan_batches(options(96, 8, 0, true), 4, 1).micro_batches, 3);
}

TEST(Batching, ReproducibleModeNamesTheNearestNumberOfRanks) {
  EXPECT_THAT(refusal(options(128, 32, 0, true), 3), testing::HasSubstr("The nearest allowed number is 2"));
  EXPECT_THAT(refusal(options(128, 32, 0, true), 8), testing::HasSubstr("The nearest allowed number is 4"));
  EXPECT_THAT(refusal(options(256, 32, 0, true), 7), testing::HasSubstr("The nearest allowed number is 8"));
  EXPECT_THAT(refusal(options(128, 48, 0, true), 2), testing::HasSubstr("Try 96 or 144"));
}

}  // namespace
}  // namespace lockstep
