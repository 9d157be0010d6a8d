#include "src/train/step/batching.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/registry.h"
#include "src/core/error.h"
#include "src/graph/graph.h"
#include "src/graph/layers/layers.h"
#include "src/graph/rewrites/rewrites.h"

namespace lockstep {
namespace {

TrainOptions options(int64_t global, int64_t micro, int64_t accumulation, bool reproducible) {
  TrainOptions result;
  result.train.global_batch = global;
  result.train.micro_batch = micro;
  result.train.accumulation = accumulation;
  result.run.reproducible = reproducible;
  return result;
}

std::string refusal(const TrainOptions& o, int ranks, int lanes = 1, int64_t most = 1000) {
  try {
    plan_batches(o, ranks, lanes, {.max_samples = most});
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
    return e.what();
  }
  return "accepted";
}

TEST(Batching, DefaultModeGivesEachLaneOneMicroBatch) {
  const Batching batching = plan_batches(options(128, 0, 0, false), 2, 2, {});
  EXPECT_EQ(batching.micro_batch, 32);
  EXPECT_EQ(batching.micro_batches, 2);
  EXPECT_EQ(batching.rank_batch(), 64);
}

TEST(Batching, DefaultModeKeepsMicroBatchesInTheCaches) {
  const auto micro_batch = [](int64_t global, int lanes, int64_t most) {
    const Batching batching = plan_batches(options(global, 0, 0, false), 1, lanes, {.max_samples = most});
    EXPECT_EQ(batching.micro_batch * batching.micro_batches, global);
    EXPECT_EQ(batching.micro_batches % lanes, 0) << "a lane has more to do than another";
    return batching.micro_batch;
  };
  EXPECT_EQ(micro_batch(128, 1, 62), 32);
  EXPECT_EQ(micro_batch(128, 2, 62), 32);
  EXPECT_EQ(micro_batch(128, 2, 1000), 64);
  EXPECT_EQ(micro_batch(96, 1, 62), 48);
  EXPECT_EQ(micro_batch(254, 2, 62), 127) << "one sample at a time would be slower";
  EXPECT_EQ(plan_batches(options(128, 64, 0, false), 1, 1, {.max_samples = 32}).micro_batch, 64)
      << "asked for";
  EXPECT_EQ(plan_batches(options(128, 0, 2, false), 1, 1, {.max_samples = 32}).micro_batch, 64)
      << "asked for";
}

TEST(Batching, TheLargestGoodMicroBatchFollowsFromTheModel) {
  const auto best = [](const char* name) {
    return micro_batch_needs({}, rewrite(build_model({.name = name}, {28, 28, 1}, {10}, 1))).max_samples;
  };
  EXPECT_NEAR(static_cast<double>(best("cnn")), 62, 2) << "131 KiB of activations a sample";
  EXPECT_GT(best("mlp"), 500);
}

TEST(Batching, AccumulationAndMicroBatchAreHonoured) {
  EXPECT_EQ(plan_batches(options(128, 0, 4, false), 2, 1, {}).micro_batch, 16);
  EXPECT_EQ(plan_batches(options(128, 8, 0, false), 2, 1, {}).micro_batches, 8);
  EXPECT_THAT(refusal(options(128, 8, 4, false), 2),
              testing::HasSubstr("2 ranks x micro_batch 8 x accumulation 4 = 64"));
}

TEST(Batching, ImpossibleBatchOffersTheNeighbours) {
  EXPECT_EQ(refusal(options(1000, 8, 0, false), 6),
            "train.global_batch = 1000 does not divide over 6 ranks. Try 996 or 1002.");
  EXPECT_EQ(
      refusal(options(1000, 48, 0, false), 1),
      "train.global_batch = 1000 does not divide over 48 samples per step (1 rank x 48). Try 960 or 1008.");
  EXPECT_THAT(refusal(options(0, 0, 0, false), 1),
              testing::HasSubstr("train.global_batch = 0 must be positive"));
}

TEST(Batching, ReproducibleModeDoesNotDependOnRanksOrLanes) {
  for (const int ranks : {1, 2, 4})
    for (const int lanes : {1, 2, 3}) {
      const Batching batching = plan_batches(options(128, 0, 0, true), ranks, lanes, {});
      EXPECT_EQ(batching.micro_batch, 32);
      EXPECT_EQ(batching.micro_batches, 4 / ranks);
    }
  EXPECT_EQ(plan_batches(options(96, 8, 0, true), 4, 1, {}).micro_batches, 3);
}

const MicroBatchNeeds kStatistics{.max_samples = 1000, .statistics_samples = 32};

TEST(Batching, StatisticsAreTakenOverASizeThatDoesNotDependOnThreads) {
  const auto micro_batch = [](int64_t global, int ranks, int lanes, bool reproducible = false) {
    const Batching batching = plan_batches(options(global, 0, 0, reproducible), ranks, lanes, kStatistics);
    EXPECT_EQ(ranks * batching.micro_batch * batching.micro_batches, global);
    return batching.micro_batch;
  };
  for (const int lanes : {1, 2, 3, 32, 64, 1000})
    for (const bool reproducible : {false, true}) {
      EXPECT_EQ(micro_batch(64, 1, lanes, reproducible), 32);
      EXPECT_EQ(micro_batch(100, 1, lanes, reproducible), 50) << "at least 32, where the batch allows";
      EXPECT_EQ(micro_batch(37, 1, lanes, reproducible), 37);
      EXPECT_EQ(micro_batch(62, 1, lanes, reproducible), 62);
      EXPECT_EQ(micro_batch(35 * 37, 1, lanes, reproducible), 35);
      EXPECT_EQ(micro_batch(20, 1, lanes, reproducible), 20);
      EXPECT_EQ(micro_batch(64, 2, lanes, reproducible), 32);
    }
  EXPECT_EQ(micro_batch(128, 8, 4), 16) << "all that a rank has";
  EXPECT_EQ(micro_batch(1'000'000'007, 1, 8), 1'000'000'007) << "a prime";
  EXPECT_EQ(plan_batches(options(64, 4, 0, false), 1, 2, kStatistics).micro_batch, 4) << "was given";
  EXPECT_EQ(plan_batches(options(64, 0, 8, false), 1, 2, kStatistics).micro_batch, 8) << "was given";
}

TEST(Batching, SynchronizedStatisticsAreTakenOverAllSamplesOfAStep) {
  for (const int lanes : {1, 2, 3, 64}) {
    TrainOptions together = options(64, 0, 0, false);
    together.train.sync_batch_norm = true;
    const MicroBatchNeeds needs{.max_samples = 4, .statistics_samples = 32};
    const Batching batching = plan_batches(together, 2, lanes, needs);
    EXPECT_LE(batching.micro_batches, lanes) << "more than one round";
    EXPECT_EQ(describe_statistics(batching, together, 2, lanes, needs),
              "statistics over all 64 samples of a step");
  }
}

TEST(Batching, WhatStatisticsAreTakenOverIsDescribed) {
  const auto described = [](const TrainOptions& o, int ranks, int lanes) {
    return describe_statistics(plan_batches(o, ranks, lanes, kStatistics), o, ranks, lanes, kStatistics);
  };
  EXPECT_EQ(described(options(64, 0, 0, false), 1, 2), "statistics over 32 samples, one micro-batch");
  EXPECT_EQ(described(options(64, 0, 0, true), 1, 64),
            "statistics over 32 samples, one micro-batch; 2 of 64 threads compute");
  EXPECT_EQ(described(options(64, 0, 0, false), 1, 64),
            "statistics over 32 samples, one micro-batch; 2 of 64 threads compute (train.sync_batch_norm = "
            "true uses more, and takes the statistics over all samples of a step)");
  TrainOptions rounds = options(64, 8, 0, false);
  rounds.train.sync_batch_norm = true;
  EXPECT_EQ(described(rounds, 2, 2), "statistics over 32 samples at a time, 2 ranks x 2 threads x 8");
  EXPECT_EQ(describe_statistics({64, 64, 1}, options(64, 0, 0, false), 1, 1, {}), "") << "no batch norm";
}

TEST(Batching, BatchNormOverSingleValuesIsRefused) {
  const MicroBatchNeeds needs{.statistics_samples = 32, .vector_norm = "norm"};
  const auto refusal_of = [&](TrainOptions o, int ranks, int lanes, bool synchronized = false) {
    o.train.sync_batch_norm = synchronized;
    try {
      plan_batches(o, ranks, lanes, needs);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_EQ(refusal_of(options(64, 1, 0, false), 1, 1),
            "layer 'norm' (batch_norm) would normalize each sample by itself, and a single value has no "
            "variance: train.micro_batch = 1. Use micro-batches of at least 2 samples, better 32, or "
            "train.sync_batch_norm = true, which joins the samples of all ranks and threads.");
  EXPECT_THAT(refusal_of(options(64, 1, 0, true), 1, 1), testing::EndsWith("better 32."));
  EXPECT_THAT(refusal_of(options(1, 0, 0, false), 1, 1), testing::HasSubstr("train.global_batch = 1."));
  EXPECT_THAT(refusal_of(options(4, 0, 4, false), 1, 1),
              testing::HasSubstr("train.global_batch = 4 in 4 pieces."));
  EXPECT_THAT(refusal_of(options(4, 1, 0, false), 1, 1, true), testing::HasSubstr("better 32."));
  EXPECT_EQ(refusal_of(options(4, 1, 0, false), 1, 4, true), "accepted");
  EXPECT_EQ(refusal_of(options(4, 1, 0, false), 2, 1, true), "accepted");
  EXPECT_EQ(refusal_of(options(64, 2, 0, false), 1, 1), "accepted");
}

TEST(Batching, ANetworkSaysWhetherItTakesStatistics) {
  Graph graph({4, 4, 3});
  graph.add("flatten", layers::flatten());
  EXPECT_EQ(micro_batch_needs({}, graph).statistics_samples, 0);
  Graph images({4, 4, 3});
  images.add("norm", layers::batch_norm({}));
  EXPECT_EQ(micro_batch_needs({}, images).statistics_samples, 32);
  EXPECT_EQ(micro_batch_needs({}, images).vector_norm, "") << "a sample has 16 values of a channel";
  images.add("flatten", layers::flatten());
  images.add("vectors", layers::batch_norm({}));
  EXPECT_EQ(micro_batch_needs({}, images).vector_norm, "vectors");
}

TEST(Batching, ReproducibleModeNamesTheNearestNumberOfRanks) {
  EXPECT_THAT(refusal(options(128, 32, 0, true), 3), testing::HasSubstr("The nearest allowed number is 2"));
  EXPECT_THAT(refusal(options(128, 32, 0, true), 8), testing::HasSubstr("The nearest allowed number is 4"));
  EXPECT_THAT(refusal(options(256, 32, 0, true), 7), testing::HasSubstr("The nearest allowed number is 8"));
  EXPECT_THAT(refusal(options(128, 48, 0, true), 2), testing::HasSubstr("Try 96 or 144"));
}

}  // namespace
}  // namespace lockstep
