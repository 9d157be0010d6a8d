#include <gtest/gtest.h>

#include "src/core/error.h"
#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

template <typename T>
void expect_near(const std::vector<T>& actual, const std::vector<T>& expected, double tolerance,
                 const char* what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], tolerance) << what << " " << i;
}

/// Trains both on batches with so many real samples, and compares everything that training leaves behind.
void expect_same_training(TinyRun& run, TinyRun& reference, const std::vector<int64_t>& valid) {
  expect_near(run.train(valid), reference.train(valid), 1e-5, "loss");
  expect_near(run.weights(), reference.weights(), 2e-5, "weight");
  expect_near(run.states(), reference.states(), 1e-4, "running statistic");
}

TEST(SyncBatchNorm, LanesNormalizeTheirMicroBatchesAsOne) {
  for (const int lanes : {2, 4}) {
    SCOPED_TRACE(lanes);
    TinyRun run({}, {16, 16 / lanes, lanes}, {.lanes = lanes, .sync_batch_norm = true, .second_block = true});
    TinyRun joined({}, {16, 16, 1}, {.second_block = true});
    expect_same_training(run, joined, {16, 16, 5, 16, 1, 13});
  }
}

// Without it, each is normalized by what is in it alone, and the difference is no rounding.
TEST(SyncBatchNorm, IsWhatMakesTheDifference) {
  TinyRun run({}, {16, 4, 4}, {.lanes = 4}), joined({}, {16, 16, 1});
  EXPECT_GT(std::abs(run.train(5, 16).back() - joined.train(5, 16).back()), 1e-3);
}

TEST(SyncBatchNorm, EachRoundOfLanesIsNormalizedByItself) {
  // Six micro-batches of 4: as three of 8 on two lanes, as one of 16 and one of 8 on four.
  TinyRun run({}, {24, 4, 6}, {.lanes = 2, .sync_batch_norm = true, .second_block = true});
  TinyRun joined({}, {24, 8, 3}, {.second_block = true});
  expect_same_training(run, joined, {24, 24, 9, 24, 1});
  TinyRun four({}, {24, 4, 6}, {.lanes = 4, .sync_batch_norm = true}),
      again({}, {24, 4, 6}, {.lanes = 4, .sync_batch_norm = true});
  EXPECT_EQ(four.train({24, 24, 9}), again.train({24, 24, 9})) << "threads may come in any order";
  EXPECT_EQ(four.hash(), again.hash());
  EXPECT_EQ(four.states(), again.states());
}

class SyncBatchNormStep : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(SyncBatchNormStep);

TEST_P(SyncBatchNormStep, OfOneMicroBatchIsBatchNorm) {
  TinyRun run(exec(), {12, 4, 3}, {.sync_batch_norm = true, .second_block = true});
  TinyRun alone(exec(), {12, 4, 3}, {.second_block = true});
  expect_same_training(run, alone, {12, 12, 5, 12, 1});
}

TEST_P(SyncBatchNormStep, CapturedEqualsUncapturedToTheBit) {
  const std::vector<int64_t> valid = {12, 12, 5, 12, 1};
  TinyRun captured(exec(), {12, 4, 3}, {.sync_batch_norm = true});
  TinyRun uncaptured(exec(), {12, 4, 3}, {.capture = false, .sync_batch_norm = true});
  EXPECT_EQ(captured.train(valid), uncaptured.train(valid));
  EXPECT_EQ(captured.hash(), uncaptured.hash());
  EXPECT_EQ(captured.states(), uncaptured.states());
}

/// Of one rank, and fails at its n-th sum.
class FailingCommunicator : public Communicator {
 public:
  explicit FailingCommunicator(int at) : left_(at) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  Slice slice_of(int, int64_t elements) const override { return {0, elements}; }
  void prepare(std::span<float>, int64_t) override {}
  void start(Exec, const Collective&) override {
    if (--left_ == 0) fail(ExitCode::lost, "the network is gone");
  }
  void wait(Exec) override {}

 private:
  int left_;
};

/// What ends a step on three lanes in which the n-th sum of one of the two communicators fails.
std::string end_of_step(int gradients, int statistics) {
  TinyRun run({}, {24, 4, 6}, {.lanes = 3, .sync_batch_norm = true, .second_block = true},
              std::make_unique<FailingCommunicator>(gradients),
              std::make_unique<FailingCommunicator>(statistics));
  try {
    run.train(1, 24);
  } catch (const Error& error) {
    return error.what();
  }
  return "it did not end";
}

TEST(SyncBatchNorm, ALaneThatFailsEndsTheStep) {
  constexpr int kNever = -1;
  EXPECT_EQ(end_of_step(kNever, kNever), "it did not end");
  // A lane that starts a bucket's sum fails while the others go on to the next batch norm; the last bucket
  // has none behind it.
  for (const int bucket : {1, 2, 3}) EXPECT_EQ(end_of_step(bucket, kNever), "the network is gone") << bucket;
  // Of the two rounds' 2 x 2 sums in forward and 2 in backward.
  for (int sum = 1; sum <= 12; ++sum) EXPECT_EQ(end_of_step(kNever, sum), "the network is gone") << sum;
  EXPECT_EQ(end_of_step(kNever, 13), "it did not end");
}

}  // namespace
}  // namespace lockstep
