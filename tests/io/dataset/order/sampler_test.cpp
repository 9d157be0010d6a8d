#include "io/dataset/order/sampler.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

TEST(Sampler, EveryEpochIsPartitionedExactlyOverTheRanks) {
  for (const int64_t samples : {1, 2, 7, 64, 100, 1001}) {
    for (const int64_t batch : {1, 3, 8, 64, 96, 128}) {
      const Sampler sampler(9, samples, batch, {Order::Kind::full});
      for (const int64_t ranks : {1, 2, 3, 4, 8}) {
        if (batch % ranks != 0) continue;
        std::vector<int> seen(static_cast<size_t>(samples));
        int64_t padding = 0, valid = 0;
        for (int64_t step = 0; step < sampler.steps_per_epoch(); ++step) {
          valid += sampler.valid(step);
          for (int64_t rank = 0; rank < ranks; ++rank) {
            for (int64_t slot = rank * (batch / ranks); slot < (rank + 1) * (batch / ranks); ++slot) {
              const int64_t sample = sampler.sample(3, step, slot);
              ASSERT_GE(sample, -1);
              ASSERT_LT(sample, samples);
              if (sample < 0)
                ++padding;
              else
                ++seen[static_cast<size_t>(sample)];
            }
          }
        }
        for (const int count : seen) ASSERT_EQ(count, 1);
        EXPECT_EQ(valid, samples);
        EXPECT_EQ(padding, sampler.steps_per_epoch() * batch - samples);
      }
    }
  }
}

TEST(Sampler, EpochsAndSeedsDifferAndRepeat) {
  const auto order = [](uint64_t seed, int64_t epoch) {
    const Sampler sampler(seed, 1000, 1000, {Order::Kind::full});
    std::vector<int64_t> result;
    for (int64_t slot = 0; slot < 1000; ++slot) result.push_back(sampler.sample(epoch, 0, slot));
    return result;
  };
  EXPECT_EQ(order(1, 5), order(1, 5));
  for (int64_t epoch = 0; epoch < 4; ++epoch) {
    for (uint64_t seed = 0; seed < 2; ++seed) {
      if (epoch == 0 && seed == 0) continue;
      const auto first = order(0, 0), other = order(seed, epoch);
      int64_t equal = 0;
      for (size_t i = 0; i < first.size(); ++i) equal += first[i] == other[i] ? 1 : 0;
      EXPECT_LT(equal, 10);  // one on average
    }
  }
}

TEST(Sampler, GivesManySlotsAsItGivesThemOneByOne) {
  const Order orders[] = {{Order::Kind::stored},
                          {Order::Kind::full},
                          {.kind = Order::Kind::windows, .windows = {2, 5, 3}, .parts = {1001}}};
  for (const Order& order : orders) {
    for (const int64_t samples : {1, 2, 64, 1001}) {
      if (order.kind == Order::Kind::windows && samples != 1001) continue;
      const Sampler sampler(4, samples, 24, order);
      for (int64_t step = 0; step <= sampler.steps_per_epoch(); ++step) {
        for (const int64_t first : {0, 8, 23}) {
          std::vector<int64_t> many(static_cast<size_t>(24 - first), -7);
          sampler.samples(3, step, first, many);
          for (size_t i = 0; i < many.size(); ++i)
            ASSERT_EQ(many[i], sampler.sample(3, step, first + static_cast<int64_t>(i)));
        }
      }
    }
  }
}

TEST(Sampler, UnshuffledIsTheIdentityAndTheLastBatchIsShort) {
  const Sampler sampler(1, 10, 4, {Order::Kind::stored});
  EXPECT_EQ(sampler.steps_per_epoch(), 3);
  for (int64_t i = 0; i < 10; ++i) EXPECT_EQ(sampler.sample(2, i / 4, i % 4), i);
  EXPECT_EQ(sampler.valid(2), 2);
  EXPECT_EQ(sampler.sample(2, 2, 2), -1);
  EXPECT_EQ(Sampler(1, 0, 4, {Order::Kind::full}).steps_per_epoch(), 0);
  EXPECT_EQ(Sampler(1, 0, 4, {Order::Kind::full}).sample(0, 0, 0), -1);
}

}  // namespace
}  // namespace lockstep
