#include <gtest/gtest.h>

#include <cstring>

#include "src/core/hash.h"
#include "tests/support/mpi_world.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

class MpiSyncBatchNorm : public MpiBackendTest {
 protected:
  static constexpr int64_t kGlobalBatch = 16;
  // The last batch of an epoch is short: some ranks have padding alone.
  const std::vector<int64_t> valid_ = {16, 16, 5, 16, 1};

  /// Cut so that each lane of each rank has so many micro-batches.
  std::unique_ptr<TinyRun> on_all_ranks(int lanes, int rounds, bool capture = true) {
    const int micro_batches = lanes * rounds;
    return std::make_unique<TinyRun>(
        exec(), Batching{kGlobalBatch, kGlobalBatch / (world.size() * micro_batches), micro_batches},
        TinyOptions{.lanes = lanes, .capture = capture, .sync_batch_norm = true, .second_block = true},
        make_communicator(world, exec(), {}), make_statistics_communicator(world, exec()));
  }
  /// The same global batch on one rank in so many micro-batches, without synchronization.
  std::unique_ptr<TinyRun> on_one_rank(int micro_batches) {
    return std::make_unique<TinyRun>(exec(),
                                     Batching{kGlobalBatch, kGlobalBatch / micro_batches, micro_batches},
                                     TinyOptions{.second_block = true});
  }

  void expect_same(const std::vector<double>& losses, TinyRun& run,
                   const std::vector<double>& expected_losses, const TinyRun& expected) {
    const auto near = [](const auto& actual, const auto& wanted, double tolerance, const char* what) {
      ASSERT_EQ(actual.size(), wanted.size());
      for (size_t i = 0; i < actual.size(); ++i)
        ASSERT_NEAR(actual[i], wanted[i], tolerance) << what << " " << i;
    };
    near(losses, expected_losses, 1e-5, "loss");
    near(run.weights(), expected.weights(), 2e-5, "weight");
    near(run.states(), expected.states(), 1e-4, "running statistic");
    for (const uint64_t hash : world.gather(run.hash())) EXPECT_EQ(hash, run.hash());
    const std::vector<float> states = run.states();
    const uint64_t mine = hash_bytes(std::as_bytes(std::span(states)));
    for (const uint64_t hash : world.gather(mine)) EXPECT_EQ(hash, mine);
  }

  std::vector<int> lane_counts() const { return exec().on_cuda() ? std::vector{1} : std::vector{1, 2, 4}; }
};
INSTANTIATE_FOR_BACKENDS(MpiSyncBatchNorm);

TEST_P(MpiSyncBatchNorm, RanksAndLanesNormalizeTheirMicroBatchesAsOne) {
  const auto joined = on_one_rank(1);
  const std::vector<double> expected = joined->train(valid_);
  for (const int lanes : lane_counts()) {
    SCOPED_TRACE(lanes);
    const auto run = on_all_ranks(lanes, 1);
    const std::vector<double> losses = run->train(valid_);
    expect_same(losses, *run, expected, *joined);
  }
}

// Buckets of gradients travel while other lanes are at the sums of the next batch norm.
TEST_P(MpiSyncBatchNorm, EachRoundIsNormalizedByItself) {
  for (const int lanes : lane_counts()) {
    const int rounds = 4 / lanes;
    if (rounds == 1) continue;
    SCOPED_TRACE(lanes);
    const auto run = on_all_ranks(lanes, rounds), joined = on_one_rank(rounds);
    const int64_t part = kGlobalBatch / (world.size() * rounds);  // of a rank in a round
    std::vector<double> losses, expected;
    for (int64_t step = 0; step < 4; ++step) {
      losses.push_back((run->run(run->make_batch(step, kGlobalBatch).batch), run->flush()->loss));
      // What all ranks have in a round lies side by side in a micro-batch of the one rank.
      const TinyRun::HostBatch in_order = joined->make_batch(step, kGlobalBatch);
      const TinyRun::HostBatch batch = joined->make_batch(step, kGlobalBatch);
      const auto deal = [&](const Buffer& from, const Buffer& to) {
        const size_t bytes = from.size() / static_cast<size_t>(kGlobalBatch) * static_cast<size_t>(part);
        for (int rank = 0; rank < world.size(); ++rank)
          for (int round = 0; round < rounds; ++round)
            std::memcpy(to.data() + static_cast<size_t>(round * world.size() + rank) * bytes,
                        from.data() + static_cast<size_t>(rank * rounds + round) * bytes, bytes);
      };
      deal(in_order.x, batch.x);
      deal(in_order.y, batch.y);
      deal(in_order.sample_index, batch.sample_index);
      expected.push_back((joined->run(batch.batch), joined->flush()->loss));
    }
    expect_same(losses, *run, expected, *joined);
  }
}

TEST_P(MpiSyncBatchNorm, CapturedEqualsUncapturedToTheBit) {
  const auto captured = on_all_ranks(1, 2), uncaptured = on_all_ranks(1, 2, /*capture=*/false);
  EXPECT_EQ(captured->train(valid_), uncaptured->train(valid_));
  EXPECT_EQ(captured->hash(), uncaptured->hash());
  EXPECT_EQ(captured->states(), uncaptured->states());
}

// Whoever comes first where, nobody waits for ever.
TEST_P(MpiSyncBatchNorm, ManyStepsInEveryPatternOfLanesAndRounds) {
  for (const int lanes : lane_counts()) {
    const auto run = on_all_ranks(lanes, 4 / lanes);
    for (int step = 0; step < (exec().on_cuda() ? 5 : 30); ++step) run->train(1, kGlobalBatch - step % 7);
    for (const uint64_t hash : world.gather(run->hash())) EXPECT_EQ(hash, run->hash());
  }
}

}  // namespace
}  // namespace lockstep
