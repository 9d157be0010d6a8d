#include "comm/reduce/gradient_reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "src/core/error.h"
#include "src/core/rng.h"
#include "src/core/thread_pool.h"
#include "tests/support/gradient_tree.h"

namespace lockstep {
namespace {

/// Doubles what it is given, as a second rank with the same values would, and writes down the order.
class TwinCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 2; }
  Slice slice_of(int, int64_t elements) const override { return {elements / 2, elements - elements / 2}; }
  void prepare(std::span<float> buffer, int64_t longest) override {
    prepared = buffer;
    reserved = longest;
  }
  void start(Exec, const Collective& collective) override {
    EXPECT_FALSE(busy.exchange(true)) << "two lanes in start() at the same time";
    EXPECT_LE(static_cast<int64_t>(collective.data.size()), reserved);
    for (float& value : collective.data) value *= 2;
    started.push_back(collective.data);
    collectives.push_back(collective);
    busy = false;
  }
  void wait(Exec) override { ++waits; }

  int64_t reserved = 0;
  std::span<float> prepared;
  std::vector<std::span<float>> started;
  std::vector<Collective> collectives;
  int waits = 0;
  std::atomic<bool> busy = false;
};

std::vector<Bucket> random_buckets(RandomStream& stream, int64_t elements) {
  std::vector<Bucket> buckets;
  for (int64_t start = 0; start < elements;) {
    const auto size = static_cast<int64_t>(1 + stream.next_below(static_cast<uint32_t>(elements - start)));
    buckets.push_back({start, size});
    start += size;
  }
  return buckets;
}

/// One step as the trainer does it: lanes take micro-batches in order and hand over bucket by bucket.
void run_step(GradientReducer& reducer, ThreadPool& pool, int micro_batches, size_t elements) {
  std::atomic<int> next = 0;
  reducer.begin();
  pool.run([&](int lane) {
    for (int m = next++; m < micro_batches; m = next++) {
      const std::vector<float> gradient = made_up_gradient(m, elements);
      const std::span<float> leaf = reducer.leaf(m);
      ASSERT_EQ(leaf.size(), elements);
      std::fill(leaf.begin(), leaf.end(), NAN);  // nothing may be read before it is written
      for (size_t b = 0; b < reducer.buckets().size(); ++b) {
        const Bucket& bucket = reducer.buckets()[b];
        std::copy_n(gradient.begin() + bucket.offset, bucket.size, leaf.begin() + bucket.offset);
        if ((m + lane + static_cast<int>(b)) % 3 == 0) std::this_thread::yield();
        reducer.bucket_ready(Exec{}, m, static_cast<int>(b));
      }
    }
  });
  reducer.finish(Exec{});
}

TEST(GradientReducer, AddsTheFixedTreeForAnyCountLanesAndBuckets) {
  RandomStream stream(5, 0);
  for (int micro_batches = 1; micro_batches <= 24; ++micro_batches) {
    const auto elements = static_cast<size_t>(1 + stream.next_below(300));
    std::vector<std::vector<float>> leaves;
    for (int m = 0; m < micro_batches; ++m) leaves.push_back(made_up_gradient(m, elements));
    std::vector<float> expected = oracle_tree_sum(leaves);
    for (float& value : expected) value *= 2;

    for (int lanes = 1; lanes <= 4; ++lanes) {
      SCOPED_TRACE(testing::Message() << micro_batches << " micro-batches on " << lanes << " lanes");
      ThreadPool pool(lanes);
      TwinCommunicator communicator;
      std::vector<float> total(elements);
      GradientReducer reducer(Exec{}, communicator, total,
                              random_buckets(stream, static_cast<int64_t>(elements)), micro_batches, lanes);
      for (int step = 0; step < 2; ++step) {
        communicator.started.clear();
        run_step(reducer, pool, micro_batches, elements);
        EXPECT_TRUE(same_bits(total, expected));
        ASSERT_EQ(communicator.started.size(), reducer.buckets().size());
        for (size_t b = 0; b < reducer.buckets().size(); ++b)
          EXPECT_EQ(communicator.started[b].data(), total.data() + reducer.buckets()[b].offset)
              << "bucket " << b;
        EXPECT_EQ(communicator.waits, step + 1);
      }
    }
  }
}

TEST(GradientReducer, TheOrderOfAdditionMattersForTheseGradients) {
  std::vector<std::vector<float>> leaves;
  for (int m = 0; m < 6; ++m) leaves.push_back(made_up_gradient(m, 300));
  std::vector<float> left_to_right = leaves[0];
  for (int m = 1; m < 6; ++m)
    for (size_t i = 0; i < 300; ++i) left_to_right[i] += leaves[static_cast<size_t>(m)][i];
  EXPECT_FALSE(same_bits(left_to_right, oracle_tree_sum(leaves)));
}

TEST(GradientReducer, StartsABucketBeforeTheNextIsReady) {
  TwinCommunicator communicator;
  std::vector<float> total(3);
  GradientReducer reducer(Exec{}, communicator, total, {{0, 2}, {2, 1}}, 1, 1);
  reducer.begin();
  EXPECT_EQ(reducer.leaf(0).data(), total.data());
  reducer.bucket_ready(Exec{}, 0, 0);
  EXPECT_EQ(communicator.started.size(), 1u);
  EXPECT_THROW(reducer.finish(Exec{}), Error);
  reducer.bucket_ready(Exec{}, 0, 1);
  EXPECT_EQ(communicator.started.size(), 2u);
  reducer.finish(Exec{});
}

TEST(GradientReducer, ALaneLeavesItsBucketToTheLaneThatIsStartingOne) {
  struct SlowCommunicator : TwinCommunicator {
    void start(Exec exec, const Collective& collective) override {
      TwinCommunicator::start(exec, collective);
      entered = true;
      while (!may_go) std::this_thread::yield();
    }
    std::atomic<bool> entered = false, may_go = false;
  };
  SlowCommunicator communicator;
  std::vector<float> total(3);
  GradientReducer reducer(Exec{}, communicator, total, {{0, 2}, {2, 1}}, 1, 2);
  reducer.begin();
  reducer.leaf(0);
  std::thread first([&] { reducer.bucket_ready(Exec{}, 0, 0); });
  while (!communicator.entered) std::this_thread::yield();
  std::thread second([&] { reducer.bucket_ready(Exec{}, 0, 1); });
  second.join();
  communicator.may_go = true;
  first.join();
  ASSERT_EQ(communicator.started.size(), 2u);
  EXPECT_EQ(communicator.started[0].data(), total.data());
  EXPECT_EQ(communicator.started[1].data(), total.data() + 2);
  EXPECT_FALSE(communicator.collectives[0].awaited);
  EXPECT_TRUE(communicator.collectives[1].awaited) << "behind the last bucket there is nothing left to do";
  reducer.finish(Exec{});
}

TEST(GradientReducer, HoldsNoMoreBuffersThanTheTreeNeeds) {
  TwinCommunicator communicator;
  std::vector<float> total(64);
  const auto buffers = [&](int micro_batches, int lanes) {
    const GradientReducer reducer(Exec{}, communicator, total, {{0, 64}}, micro_batches, lanes);
    return reducer.bytes() / (64 * sizeof(float));
  };
  EXPECT_EQ(buffers(1, 1), 0u);
  EXPECT_EQ(buffers(2, 1), 1u);
  EXPECT_EQ(buffers(4, 1), 2u);
  EXPECT_EQ(buffers(64, 1), 6u);
  EXPECT_EQ(buffers(7, 1), 1u);
  EXPECT_EQ(buffers(64, 4), 9u);
  EXPECT_EQ(buffers(3, 8), 2u);
}

TEST(GradientReducer, WorksWithoutAnyParameter) {
  TwinCommunicator communicator;
  GradientReducer reducer(Exec{}, communicator, {}, {}, 4, 1);
  reducer.begin();
  for (int m = 0; m < 4; ++m) EXPECT_TRUE(reducer.leaf(m).empty());
  reducer.finish(Exec{});
  EXPECT_TRUE(communicator.started.empty());
}

TEST(GradientReducer, ALaneThatFailsIsTheFailureOfThoseThatWaitForIt) {
  TwinCommunicator communicator;
  std::vector<float> total(8);
  GradientReducer reducer(Exec{}, communicator, total, {{0, 8}}, 16, 2);
  ThreadPool pool(2);
  reducer.begin();
  const auto work = [&](int lane) {
    try {
      if (lane == 1) fail(ExitCode::data, "micro-batch 0 is bad");
      reducer.leaf(1);  // waits until micro-batch 0 has started
    } catch (...) {
      reducer.cancel(std::current_exception());
      throw;
    }
  };
  try {
    pool.run(work);
    FAIL() << "the failure was lost";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "micro-batch 0 is bad")
        << "the pool reports lane 0, which has not met the cause";
    EXPECT_EQ(error.code(), ExitCode::data);
  }
  run_step(reducer, pool, 16, 8);  // and the next step works
  EXPECT_EQ(communicator.started.size(), 1u);
}

TEST(GradientReducer, RefusesABucketThatIsReadyTwice) {
  TwinCommunicator communicator;
  std::vector<float> total(8);
  GradientReducer reducer(Exec{}, communicator, total, {{0, 8}}, 2, 1);
  reducer.begin();
  EXPECT_THROW(reducer.bucket_ready(Exec{}, 0, 0), Error);
  reducer.leaf(0);
  reducer.bucket_ready(Exec{}, 0, 0);
  EXPECT_THROW(reducer.bucket_ready(Exec{}, 0, 0), Error);
}

}  // namespace
}  // namespace lockstep
