#include <gtest/gtest.h>

#include "src/core/hash.h"
#include "tests/support/mpi_world.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

class MpiStep : public MpiBackendTest {
 protected:
  static constexpr int64_t kGlobalBatch = 16, kMicroBatch = 2;
  static constexpr int kMicroBatches = 8;
  // The last batch of an epoch is short: some ranks have padding alone.
  const std::vector<int64_t> valid_ = {16, 16, 5, 16, 1};

  std::unique_ptr<TinyRun> on_all_ranks(bool reproducible, bool capture = true) {
    return std::make_unique<TinyRun>(exec(),
                                     Batching{kGlobalBatch, kMicroBatch, kMicroBatches / world.size()},
                                     TinyOptions{.clip_norm = 0.5, .capture = capture},
                                     make_communicator(world, exec(), {.reproducible = reproducible}));
  }
  std::unique_ptr<TinyRun> on_one_rank() {
    return std::make_unique<TinyRun>(exec(), Batching{kGlobalBatch, kMicroBatch, kMicroBatches},
                                     TinyOptions{.clip_norm = 0.5});
  }
};
INSTANTIATE_FOR_BACKENDS(MpiStep);

TEST_P(MpiStep, ReproducibleTrainingHasTheBitsOfOneRank) {
  const auto alone = on_one_rank(), together = on_all_ranks(/*reproducible=*/true);
  EXPECT_EQ(together->train(valid_), alone->train(valid_));
  EXPECT_EQ(together->hash(), alone->hash());
  EXPECT_EQ(together->states(), alone->states());
}

TEST_P(MpiStep, CapturedEqualsUncapturedToTheBit) {
  const auto captured = on_all_ranks(/*reproducible=*/true);
  const auto uncaptured = on_all_ranks(/*reproducible=*/true, /*capture=*/false);
  EXPECT_EQ(captured->train(valid_), uncaptured->train(valid_));
  EXPECT_EQ(captured->hash(), uncaptured->hash());
}

TEST_P(MpiStep, DefaultTrainingIsCloseToOneRankAndTheSameOnEveryRank) {
  const auto alone = on_one_rank(), together = on_all_ranks(/*reproducible=*/false);
  const std::vector<double> expected = alone->train(valid_), losses = together->train(valid_);
  ASSERT_EQ(losses.size(), expected.size());
  for (size_t i = 0; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], 1e-5) << i;
  for (const uint64_t hash : world.gather(together->hash())) EXPECT_EQ(hash, together->hash());
}

}  // namespace
}  // namespace lockstep
