#include <gtest/gtest.h>

#include "src/core/hash.h"
#include "src/ops/supported.h"
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

  static TinyOptions options(Precision precision, bool capture = true) {
    return {.clip_norm = 0.5,
            .capture = capture,
            .precision = precision,
            .scales_loss = precision == Precision::fp16};
  }
  std::unique_ptr<TinyRun> on_all_ranks(bool reproducible, bool capture = true,
                                        Precision precision = Precision::fp32) {
    return std::make_unique<TinyRun>(
        exec(), Batching{kGlobalBatch, kMicroBatch, kMicroBatches / world.size()},
        options(precision, capture), make_communicator(world, exec(), {.reproducible = reproducible}));
  }
  std::unique_ptr<TinyRun> on_one_rank(Precision precision = Precision::fp32) {
    return std::make_unique<TinyRun>(exec(), Batching{kGlobalBatch, kMicroBatch, kMicroBatches},
                                     options(precision));
  }
};
INSTANTIATE_FOR_BACKENDS(MpiStep);

TEST_P(MpiStep, ReproducibleTrainingHasTheBitsOfOneRank) {
  for (const Precision precision : kPrecisions) {
    if (!why_unsupported(exec(), precision).empty()) continue;
    SCOPED_TRACE(to_string(precision));
    const auto alone = on_one_rank(precision), together = on_all_ranks(true, true, precision);
    EXPECT_EQ(together->train(valid_), alone->train(valid_));
    EXPECT_EQ(together->hash(), alone->hash());
    EXPECT_EQ(together->states(), alone->states());
  }
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

TEST_P(MpiStep, EveryWayOfSummingIsCloseAndTheSameOnEveryRank) {
  struct Way {
    const char* name;
    CommunicatorOptions options;
    Wire gradients;
    double tolerance;
  };
  // A gradient in bf16 is off by up to 2^-8 of itself.
  const Way ways[] = {
      {"bf16", {}, Wire::bf16, 2e-2},
      {"fp16", {}, Wire::fp16, 3e-3},
      {"hierarchical", {.hierarchical = true}, Wire::fp32, 1e-5},
      {"hierarchical bf16", {.hierarchical = true}, Wire::bf16, 2e-2},
      {"over MPI", {.transport = Transport::mpi}, Wire::fp32, 1e-5},
      {"over MPI, reproducible", {.reproducible = true, .transport = Transport::mpi}, Wire::fp32, 1e-5}};
  const auto alone = on_one_rank();
  const std::vector<double> expected = alone->train(valid_);
  for (const Way& way : ways) {
    SCOPED_TRACE(way.name);
    for (const bool capture : {false, true}) {
      TinyRun together(exec(), Batching{kGlobalBatch, kMicroBatch, kMicroBatches / world.size()},
                       TinyOptions{.clip_norm = 0.5, .capture = capture, .gradients = way.gradients},
                       make_communicator(world, exec(), way.options));
      const std::vector<double> losses = together.train(valid_);
      ASSERT_EQ(losses.size(), expected.size());
      // The loss travels in fp32: the first is exact.
      EXPECT_NEAR(losses[0], expected[0], 1e-5);
      for (size_t i = 1; i < losses.size(); ++i) EXPECT_NEAR(losses[i], expected[i], way.tolerance) << i;
      if (way.options.reproducible) {
        EXPECT_EQ(together.hash(), alone->hash());
      }
      for (const uint64_t hash : world.gather(together.hash())) EXPECT_EQ(hash, together.hash());
    }
  }
}

}  // namespace
}  // namespace lockstep
