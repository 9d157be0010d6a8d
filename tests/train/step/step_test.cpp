#include "src/train/step/step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/train/tiny_run.h"

namespace lockstep {
namespace {

class StepTest : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(StepTest);

template <typename T>
void expect_near(const std::vector<T>& actual, const std::vector<T>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], tolerance) << i;
}

// On a GPU there is one lane.
TEST(Step, TheNumberOfThreadsChangesNoBit) {
  const Batching batching{24, 4, 6};
  TinyRun one({}, batching);
  const std::vector<double> losses = one.train(10, 24);
  for (const int lanes : {2, 3, 4}) {
    TinyRun several({}, batching, {.lanes = lanes});
    EXPECT_EQ(several.train(10, 24), losses) << lanes;
    EXPECT_EQ(several.hash(), one.hash()) << lanes;
  }
}

TEST(Step, LearnsATaskThatCanBeLearned) {
  TinyRun run({}, {32, 16, 2});
  const std::vector<double> losses = run.train(300, 32);
  EXPECT_GT(losses.front(), 0.8);
  EXPECT_LT(losses.back(), 0.2);
}

// The order of additions differs; what training makes of that in some steps is still small.
TEST_P(StepTest, TrainsAsOnTheCpu) {
  for (const Batching& batching : {Batching{8, 8, 1}, Batching{12, 4, 3}, Batching{16, 2, 8}}) {
    const int64_t all = batching.global_batch;
    const std::vector<int64_t> valid = {all, all, all, all - 3, all, all, 1};
    TinyRun run(exec(), batching, {.clip_norm = 0.5}), reference({}, batching, {.clip_norm = 0.5});
    expect_near(run.train(valid), reference.train(valid), 1e-5);
    expect_near(run.weights(), reference.weights(), 1e-5);
    expect_near(run.states(), reference.states(), 1e-4);
  }
}

TEST_P(StepTest, CapturedEqualsUncapturedToTheBit) {
  for (const Batching& batching : {Batching{8, 8, 1}, Batching{12, 4, 3}}) {
    const int64_t all = batching.global_batch;
    // The last batch of an epoch is short; a captured step must read that from memory.
    const std::vector<int64_t> valid = {all, all, all, all - 5, all, all - 5, 1, all};
    TinyRun captured(exec(), batching), uncaptured(exec(), batching, {.capture = false});
    EXPECT_EQ(captured.train(valid), uncaptured.train(valid));
    EXPECT_EQ(captured.hash(), uncaptured.hash());
    EXPECT_EQ(captured.states(), uncaptured.states());
  }
}

TEST_P(StepTest, TheSameRunGivesTheSameBits) {
  TinyRun first(exec(), {12, 4, 3}), second(exec(), {12, 4, 3});
  EXPECT_EQ(first.train(5, 12), second.train(5, 12));
  EXPECT_EQ(first.hash(), second.hash());
}

// What a loader does with its few buffers, and worse.
TEST_P(StepTest, ABatchMayBeOverwrittenOnceRunHasReturned) {
  const Batching batching{12, 4, 3};
  TinyRun kept(exec(), batching);
  std::vector<TinyRun::HostBatch> batches;
  for (int step = 0; step < 6; ++step) {
    batches.push_back(kept.make_batch(step, 12));
    kept.run(batches.back().batch);
  }
  const double last_loss = kept.flush()->loss;
  for (const Memory memory : {Memory::pinned, Memory::host}) {
    TinyRun overwritten(exec(), batching);
    for (int step = 0; step < 6; ++step) {
      const TinyRun::HostBatch host = overwritten.make_batch(step, 12, memory);
      overwritten.run(host.batch);
      for (const Buffer* buffer : {&host.x, &host.y, &host.sample_index})
        std::memset(buffer->data(), 0xff, buffer->size());
    }
    EXPECT_EQ(overwritten.flush()->loss, last_loss);
    EXPECT_EQ(overwritten.hash(), kept.hash());
  }
}

// A loader hands over the same memory again and again, and a step is still computing when the next batch is
// copied: neither may see the other's samples. The batches differ, so that a step on another one's would
// show.
TEST_P(StepTest, TheNextBatchIsCopiedWhileAStepComputes) {
  for (const bool capture : {false, true}) {
    const Batching batching{12, 4, 3};
    TinyRun waiting(exec(), batching, {.capture = capture}), running(exec(), batching, {.capture = capture});
    std::vector<double> expected, losses;
    for (int step = 0; step < 12; ++step) {
      waiting.run(waiting.make_batch(step, 12).batch);
      expected.push_back(waiting.flush()->loss);
    }
    // None is freed between two steps, which would wait for the GPU.
    std::vector<TinyRun::HostBatch> batches;
    for (int step = 0; step < 12; ++step) batches.push_back(running.make_batch(step, 12));
    for (const TinyRun::HostBatch& host : batches) {
      if (const auto last = running.run(host.batch)) losses.push_back(last->loss);
      std::memset(host.x.data(), 0xff, host.x.size());
    }
    losses.push_back(running.flush()->loss);
    EXPECT_EQ(losses, expected);
    EXPECT_EQ(running.hash(), waiting.hash());
  }
}

TEST_P(StepTest, ReportsEveryStepOnceAndOneStepLate) {
  TinyRun run(exec(), {8, 8, 1});
  EXPECT_FALSE(run.flush().has_value());
  for (int step = 0; step < 4; ++step) {
    const int64_t valid = 8 - step;
    const std::optional<StepMetrics> last = run.run(run.make_batch(step, valid).batch);
    ASSERT_EQ(last.has_value(), step > 0);
    if (!last) continue;
    EXPECT_EQ(last->step, step);
    EXPECT_EQ(last->samples, valid + 1);
    EXPECT_GT(last->loss, 0);
    EXPECT_EQ(last->correct, std::round(last->correct));
    EXPECT_LE(last->correct, static_cast<double>(last->samples));
  }
  const std::optional<StepMetrics> newest = run.flush();
  ASSERT_TRUE(newest.has_value());
  EXPECT_EQ(newest->step, 4);
  EXPECT_FALSE(run.flush().has_value());
}

TEST_P(StepTest, PaddingHasNoWeight) {
  // Ten samples in a batch of 16 and in a batch of 10: the same mean, up to the order of additions.
  TinyRun padded(exec(), {16, 16, 1}), exact(exec(), {10, 10, 1});
  expect_near(padded.train(5, 10), exact.train(5, 10), 1e-5);
  expect_near(padded.weights(), exact.weights(), 1e-5);
}

TEST_P(StepTest, AMicroBatchOfPaddingAloneIsHarmless) {
  TinyRun padded(exec(), {16, 4, 4}, {.lanes = exec().on_cuda() ? 1 : 2}), exact(exec(), {8, 4, 2});
  expect_near(padded.train(5, 8), exact.train(5, 8), 1e-6);
}

TEST_P(StepTest, ClippingShortensTheGradientToItsLength) {
  TinyRun free(exec(), {8, 8, 1}), clipped(exec(), {8, 8, 1}, {.clip_norm = 1e-3});
  const std::vector<float> before = free.weights();
  free.train(1, 8);
  clipped.train(1, 8);
  const auto distance = [&](const std::vector<float>& after) {
    double sum = 0;
    for (size_t i = 0; i < after.size(); ++i) sum += std::pow(static_cast<double>(after[i]) - before[i], 2);
    return std::sqrt(sum);
  };
  EXPECT_NEAR(distance(clipped.weights()), 0.05 * 1e-3, 1e-7);
  EXPECT_GT(distance(free.weights()), 1e-3);
}

TEST_P(StepTest, ASnapshotContinuesToTheSameBitsAndOnTheCpuToo) {
  const Batching batching{12, 4, 3};
  TinyRun whole(exec(), batching), resumed(exec(), batching), on_cpu({}, batching);
  whole.train(4, 12);
  const Checkpoint checkpoint = whole.snapshot();
  const std::vector<double> losses = whole.train(4, 12);
  resumed.train(2, 12);  // what a snapshot replaces, captured steps included
  resumed.restore(checkpoint);
  EXPECT_EQ(resumed.train(4, 12), losses);
  EXPECT_EQ(resumed.hash(), whole.hash());
  EXPECT_EQ(resumed.states(), whole.states());
  on_cpu.restore(checkpoint);
  expect_near(on_cpu.train(4, 12), losses, 1e-5);
  expect_near(on_cpu.weights(), whole.weights(), 1e-5);
}

}  // namespace
}  // namespace lockstep
