#include "comm/cost/cost_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "src/core/error.h"

namespace lockstep {
namespace {

/// 8 ranks a node: 1 us and 100 GB/s inside, 10 us and 25 GB/s a rank between.
Fabric cluster() { return {8, {1e-6, 1e-11}, {1e-5, 4e-11}, 0}; }
/// One node: 2 us, 1 GB/s.
Fabric one_node() { return {0, {2e-6, 1e-9}, {}, 0}; }

TEST(CostModel, OneRankOrNoDataCostsNothing) {
  for (const AllReduce algorithm : {AllReduce::ring, AllReduce::tree, AllReduce::hierarchical}) {
    EXPECT_EQ(all_reduce_seconds(algorithm, cluster(), 1, 1e6), 0);
    EXPECT_EQ(all_reduce_seconds(algorithm, cluster(), 64, 0), 0);
  }
  EXPECT_THROW(all_reduce_seconds(AllReduce::ring, cluster(), 0, 1), Error);
}

TEST(CostModel, CostsOnOneNodeAreThoseWorkedOutByHand) {
  // 4 ranks, 1 MB: 6 messages around the ring, 4 in the tree, and 1.5 MB to carry.
  EXPECT_NEAR(all_reduce_seconds(AllReduce::ring, one_node(), 4, 1e6), 6 * 2e-6 + 1.5e-3, 1e-15);
  EXPECT_NEAR(all_reduce_seconds(AllReduce::tree, one_node(), 4, 1e6), 4 * 2e-6 + 1.5e-3, 1e-15);
  EXPECT_NEAR(all_reduce_seconds(AllReduce::hierarchical, one_node(), 4, 1e6), 6 * 2e-6 + 1.5e-3, 1e-15);
  // 5 ranks need as many doublings as 8.
  EXPECT_NEAR(all_reduce_seconds(AllReduce::tree, one_node(), 5, 1e6), 6 * 2e-6 + 1.6e-3, 1e-15);
  EXPECT_NEAR(all_reduce_seconds(AllReduce::ring, one_node(), 2, 1e6), 2 * 2e-6 + 1e-3, 1e-15);
}

TEST(CostModel, CostsOnAClusterAreThoseWorkedOutByHand) {
  // 4 nodes of 8. Around the ring 62 hops, 6 of them between nodes. Eight rings share a node's network: its
  // 25 GB/s a rank are 200, more than the 100 GB/s inside.
  const double bytes = 1e8;
  EXPECT_NEAR(all_reduce_seconds(AllReduce::ring, cluster(), 32, bytes),
              56 * 1e-6 + 6 * 1e-5 + 2 * 31.0 / 32 * bytes * 1e-11, 1e-12);
  EXPECT_NEAR(all_reduce_seconds(AllReduce::tree, cluster(), 32, bytes),
              6 * 1e-6 + 4 * 1e-5 + 2 * 31.0 / 32 * bytes * 1e-11, 1e-12);
  // 14 messages inside, 4 (a tree of 4) between, an eighth of the data between.
  EXPECT_NEAR(all_reduce_seconds(AllReduce::hierarchical, cluster(), 32, bytes),
              14 * 1e-6 + 2 * 7.0 / 8 * bytes * 1e-11 + 4 * 1e-5 + 2 * 3.0 / 4 * bytes / 8 * 4e-11, 1e-12);
  // One rank a node: nothing inside.
  Fabric apart = cluster();
  apart.ranks_per_node = 1;
  EXPECT_NEAR(all_reduce_seconds(AllReduce::hierarchical, apart, 4, bytes), 4 * 1e-5 + 1.5 * bytes * 4e-11,
              1e-12);
  EXPECT_NEAR(all_reduce_seconds(AllReduce::ring, apart, 4, bytes), 6 * 1e-5 + 1.5 * bytes * 4e-11, 1e-12);
}

TEST(CostModel, MoreRanksOrBytesOrASlowerLinkNeverCostLess) {
  for (const AllReduce algorithm : {AllReduce::ring, AllReduce::tree, AllReduce::hierarchical}) {
    // Whole nodes: a last node that is half empty would count as full.
    double before = 0;
    for (const int64_t ranks : {1, 2, 4, 8, 16, 32, 64, 512, 4096}) {
      const double seconds = all_reduce_seconds(algorithm, cluster(), ranks, 1e6);
      EXPECT_GE(seconds, before) << to_string(algorithm) << " on " << ranks;
      before = seconds;
      EXPECT_GE(all_reduce_seconds(algorithm, cluster(), ranks, 2e6), seconds);
      Fabric slower = cluster();
      slower.between = {2e-5, 3e-10};
      slower.inside.latency = 2e-6;
      EXPECT_GE(all_reduce_seconds(algorithm, slower, ranks, 1e6), seconds);
    }
  }
}

TEST(CostModel, LongRingsLoseToTreesWhenMessagesAreShort) {
  EXPECT_EQ(fastest_all_reduce(cluster(), 1024, 1e3), AllReduce::tree);
  // A slow network is best crossed with an eighth of the data, after a sum inside the node.
  Fabric slow_network = cluster();
  slow_network.between.seconds_per_byte = 1e-8;
  for (const double bytes : {1e3, 1e5, 1e8}) {
    const AllReduce best = fastest_all_reduce(slow_network, 64, bytes);
    for (const AllReduce other : {AllReduce::ring, AllReduce::tree, AllReduce::hierarchical})
      EXPECT_LE(all_reduce_seconds(best, slow_network, 64, bytes),
                all_reduce_seconds(other, slow_network, 64, bytes));
  }
}

TEST(CostModel, RanksThatTakeTurnsTakeLonger) {
  Fabric two_cores = one_node();
  two_cores.places_per_node = 2;
  EXPECT_EQ(all_reduce_seconds(AllReduce::tree, two_cores, 2, 1e6),
            all_reduce_seconds(AllReduce::tree, one_node(), 2, 1e6));
  EXPECT_EQ(all_reduce_seconds(AllReduce::tree, two_cores, 6, 1e6),
            3 * all_reduce_seconds(AllReduce::tree, one_node(), 6, 1e6));
  const StepWork work{1e-2, 0, {1e6}, false};
  EXPECT_DOUBLE_EQ(step_cost(two_cores, work, 4).compute, 2e-2);
  EXPECT_DOUBLE_EQ(step_cost(two_cores, work, 1).compute, 1e-2);
}

TEST(CostModel, WithoutOverlapEverySumIsExposed) {
  const StepWork work{1e-2, 0, {1e6, 2e6}, false};
  const StepCost cost = step_cost(one_node(), work, 4);
  const double sums = all_reduce_seconds(AllReduce::tree, one_node(), 4, 1e6) +
                      all_reduce_seconds(AllReduce::tree, one_node(), 4, 2e6);
  EXPECT_DOUBLE_EQ(cost.communication, sums);
  EXPECT_DOUBLE_EQ(cost.exposed, sums);
  EXPECT_DOUBLE_EQ(cost.seconds, 1e-2 + sums);
  EXPECT_EQ(step_cost(one_node(), work, 1).seconds, 1e-2);
}

TEST(CostModel, BackwardHidesWhatIsReadyEarly) {
  // Forward takes 3 ms, backward 6. The buckets are ready at 5, 7 and 9 ms, and each sum takes 1 ms: two are
  // hidden.
  const Fabric link{0, {0, 1e-9}, {}, 0};
  const StepCost hidden = step_cost(link, {9e-3, 0, {1e6, 1e6, 1e6}, true}, 2);
  EXPECT_NEAR(hidden.communication, 3e-3, 1e-12);
  EXPECT_NEAR(hidden.exposed, 1e-3, 1e-12);
  // With 4 ms each they queue: 5 to 9, 9 to 13, 13 to 17.
  const StepCost queued = step_cost(link, {9e-3, 0, {4e6, 4e6, 4e6}, true}, 2);
  EXPECT_NEAR(queued.exposed, 8e-3, 1e-12);
  EXPECT_NEAR(queued.seconds, 17e-3, 1e-12);
  // One bucket of everything cannot start before backward ends.
  EXPECT_NEAR(step_cost(link, {9e-3, 0, {3e6}, true}, 2).exposed, 3e-3, 1e-12);
}

TEST(CostModel, TheSlowestOfManyIsExpectedWhereOrderStatisticsSay) {
  EXPECT_EQ(expected_maximum(1), 0);
  EXPECT_NEAR(expected_maximum(2), 1 / std::sqrt(M_PI), 1e-6);
  EXPECT_NEAR(expected_maximum(3), 1.5 / std::sqrt(M_PI), 1e-6);
  // Tables of normal order statistics (Harter 1961).
  EXPECT_NEAR(expected_maximum(4), 1.02938, 1e-5);
  EXPECT_NEAR(expected_maximum(10), 1.53875, 1e-5);
  EXPECT_NEAR(expected_maximum(100), 2.50759, 1e-5);
  for (int64_t n = 1; n < 5000; n *= 2) EXPECT_LT(expected_maximum(n), expected_maximum(2 * n));
  const StepCost cost = step_cost(one_node(), {1e-2, 1e-3, {}, true}, 4);
  EXPECT_NEAR(cost.wait, 1.02938e-3, 1e-8);
  EXPECT_NEAR(cost.seconds, 1e-2 + cost.wait, 1e-12);
}

TEST(CostModel, BucketsHoldAllBytesAndTheFirstIsSmall) {
  EXPECT_THAT(even_buckets(5 * 0x1p20, 0x1p21), testing::ElementsAre(0x1p20, 0x1p21, 0x1p21));
  EXPECT_THAT(even_buckets(100, 40), testing::ElementsAre(40, 30, 30));
  EXPECT_THAT(even_buckets(30, 40), testing::ElementsAre(30));
  EXPECT_THAT(even_buckets(0, 30), testing::IsEmpty());
  EXPECT_THROW(even_buckets(1, 0), Error);
}

TEST(CostModel, TheBestBucketIsLargeWhereMessagesAreDearAndHardlyWorseThanAnother) {
  const StepWork work{2e-2, 0, {1e8}, true};
  Fabric dear = cluster(), cheap = cluster();
  dear.inside.latency = dear.between.latency = 1e-2;
  cheap.inside.latency = cheap.between.latency = 0;
  EXPECT_GT(best_bucket_bytes(dear, work, 64), best_bucket_bytes(cheap, work, 64));
  const auto with = [&](double bytes) {
    StepWork cut = work;
    cut.bucket_bytes = even_buckets(1e8, bytes);
    return step_cost(cluster(), cut, 64).seconds;
  };
  const double best = best_bucket_bytes(cluster(), work, 64);
  for (double bytes = 0x1p20; bytes < 2e8; bytes *= 2) EXPECT_LE(with(best), 1.001 * with(bytes)) << bytes;
}

}  // namespace
}  // namespace lockstep
