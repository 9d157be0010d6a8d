#include "src/train/batching.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/registry.h"
#include "src/core/error.h"
#include "src/graph/graph.h"

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

std::string refusal(const TrainOptions& o, int ranks, int lanes = 1, int64_t most = 1000) {
  try {
    plan_batches(o, ranks, lanes, most);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
    return e.what();
  }
  return "accepted";
}

TEST(Batching, DefaultModeGivesEachLaneOneMicroBatch) {
  const Batching batching = plan_batches(options(128, 0, 0, false), 2, 2, 1000);
  EXPECT_EQ(batching.micro_batch, 32);
  EXPECT_EQ(batching.micro_batches, 2);
  EXPECT_EQ(batching.rank_batch(), 64);
}

TEST(Batching, DefaultModeKeepsMicroBatchesInTheCaches) {
  const auto micro_batch = [](int64_t global, int lanes, int64_t most) {
    const Batching batching = plan_batches(options(global, 0, 0, false), 1, lanes, most);
    EXPECT_EQ(batching.micro_batch * batching.micro_batches, global);
    EXPECT_EQ(batching.micro_batches % lanes, 0) << "a lane has more to do than another";
    return batching.micro_batch;
  };
  EXPECT_EQ(micro_batch(128, 1, 62), 32);
  EXPECT_EQ(micro_batch(128, 2, 62), 32);
  EXPECT_EQ(micro_batch(128, 2, 1000), 64);
  EXPECT_EQ(micro_batch(96, 1, 62), 48);
  EXPECT_EQ(micro_batch(254, 2, 62), 127) << "one sample at a time would be slower";
  EXPECT_EQ(plan_batches(options(128, 64, 0, false), 1, 1, 32).micro_batch, 64) << "asked for";
  EXPECT_EQ(plan_batches(options(128, 0, 2, false), 1, 1, 32).micro_batch, 64) << "asked for";
}

TEST(Batching, TheLargestGoodMicroBatchFollowsFromTheModel) {
  const auto best = [](const char* name) {
    return best_micro_batch({}, fuse(build_model({.name = name}, {28, 28, 1}, 10, 1)));
  };
  EXPECT_NEAR(static_cast<double>(best("cnn")), 62, 2) << "131 KiB of activations a sample";
  EXPECT_GT(best("mlp"), 500);
}

TEST(Batching, AccumulationAndMicroBatchAreHonoured) {
  EXPECT_EQ(plan_batches(options(128, 0, 4, false), 2, 1, 1000).micro_batch, 16);
  EXPECT_EQ(plan_batches(options(128, 8, 0, false), 2, 1, 1000).micro_batches, 8);
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
      const Batching batching = plan_batches(options(128, 0, 0, true), ranks, lanes, 1000);
      EXPECT_EQ(batching.micro_batch, 32);
      EXPECT_EQ(batching.micro_batches, 4 / ranks);
    }
  EXPECT_EQ(plan_batches(options(96, 8, 0, true), 4, 1, 1000).micro_batches, 3);
}

TEST(Batching, ReproducibleModeNamesTheNearestNumberOfRanks) {
  EXPECT_THAT(refusal(options(128, 32, 0, true), 3), testing::HasSubstr("The nearest allowed number is 2"));
  EXPECT_THAT(refusal(options(128, 32, 0, true), 8), testing::HasSubstr("The nearest allowed number is 4"));
  EXPECT_THAT(refusal(options(256, 32, 0, true), 7), testing::HasSubstr("The nearest allowed number is 8"));
  EXPECT_THAT(refusal(options(128, 48, 0, true), 2), testing::HasSubstr("Try 96 or 144"));
}

}  // namespace
}  // namespace lockstep
