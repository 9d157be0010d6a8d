#include "io/dataset/order/length_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "io/dataset/order/sampler.h"
#include "src/core/rng.h"

namespace lockstep {
namespace {

std::vector<int64_t> random_lengths(int64_t samples, uint32_t longest) {
  RandomStream random(3, static_cast<uint64_t>(samples));
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < samples; ++i) lengths.push_back(random.next_below(longest + 1));
  return lengths;
}

Sampler sampler_of(const std::vector<int64_t>& lengths, const std::vector<int64_t>& bounds, int64_t batch) {
  return {9,
          static_cast<int64_t>(lengths.size()),
          batch,
          {.kind = Order::Kind::lengths, .lengths = std::make_shared<LengthOrder>(lengths, bounds, batch)}};
}

TEST(LengthOrder, HasEachSampleOnceInABatchThatHoldsIt) {
  const std::vector<int64_t> bounds = {4, 10, 11, 40};
  for (const int64_t samples : {1, 7, 64, 100, 1001}) {
    const std::vector<int64_t> lengths = random_lengths(samples, 40);
    for (const int64_t batch : {1, 3, 8, 96}) {
      SCOPED_TRACE(testing::Message() << samples << " samples in batches of " << batch);
      const Sampler sampler = sampler_of(lengths, bounds, batch);
      for (const int64_t epoch : {0, 5}) {
        std::multiset<int64_t> seen;
        for (int64_t step = 0; step < sampler.steps_per_epoch(); ++step) {
          int64_t longest = 0, shortest = 41;
          for (int64_t slot = 0; slot < batch; ++slot) {
            const int64_t sample = sampler.sample(epoch, step, slot);
            ASSERT_EQ(sample < 0, slot >= sampler.valid(step));
            if (sample < 0) continue;
            seen.insert(sample);
            longest = std::max(longest, lengths[static_cast<size_t>(sample)]);
            shortest = std::min(shortest, lengths[static_cast<size_t>(sample)]);
          }
          // The smallest bound that holds all of the batch.
          EXPECT_EQ(sampler.length(epoch, step), *std::ranges::lower_bound(bounds, longest));
        }
        EXPECT_EQ(seen.size(), static_cast<size_t>(samples));
        EXPECT_EQ(std::set<int64_t>(seen.begin(), seen.end()).size(), static_cast<size_t>(samples));
      }
    }
  }
}

TEST(LengthOrder, MixesBucketsOnlyWhereOneEnds) {
  const std::vector<int64_t> lengths = random_lengths(1000, 40), bounds = {10, 20, 30, 40};
  const Sampler sampler = sampler_of(lengths, bounds, 16);
  int64_t mixed = 0;
  for (int64_t step = 0; step < sampler.steps_per_epoch(); ++step) {
    std::set<int64_t> of_batch;
    for (int64_t slot = 0; slot < sampler.valid(step); ++slot)
      of_batch.insert(
          *std::ranges::lower_bound(bounds, lengths[static_cast<size_t>(sampler.sample(2, step, slot))]));
    mixed += of_batch.size() > 1 ? 1 : 0;
  }
  EXPECT_LE(mixed, 3);
}

TEST(LengthOrder, CountsItsPadding) {
  const std::vector<int64_t> lengths = random_lengths(500, 64), bounds = {8, 16, 32, 64};
  const LengthOrder order(lengths, bounds, 24);
  const Sampler sampler = sampler_of(lengths, bounds, 24);
  int64_t padded = 0, used = 0;
  std::vector<int64_t> batches(bounds.size());
  for (int64_t step = 0; step < sampler.steps_per_epoch(); ++step) {
    const int64_t length = sampler.length(1, step);
    padded += sampler.valid(step) * length;
    ++batches[static_cast<size_t>(std::ranges::find(bounds, length) - bounds.begin())];
  }
  for (const int64_t length : lengths) used += length;
  EXPECT_NEAR(order.padding(), 1 - static_cast<double>(used) / static_cast<double>(padded), 1e-12);
  EXPECT_NEAR(order.padding_to_last(), 1 - static_cast<double>(used) / (500 * 64), 1e-12);
  EXPECT_LT(order.padding(), order.padding_to_last() / 1.5);
  EXPECT_EQ(order.batches(), batches);
}

TEST(LengthOrder, OfAnotherEpochHasOtherBatchesInAnotherOrder) {
  const std::vector<int64_t> lengths = random_lengths(512, 64);
  const Sampler sampler = sampler_of(lengths, {16, 32, 48, 64}, 8);
  int64_t same_samples = 0, same_lengths = 0;
  for (int64_t step = 0; step < 64; ++step) {
    same_lengths += sampler.length(0, step) == sampler.length(1, step) ? 1 : 0;
    for (int64_t slot = 0; slot < 8; ++slot)
      same_samples += sampler.sample(0, step, slot) == sampler.sample(1, step, slot) ? 1 : 0;
  }
  EXPECT_LT(same_samples, 15);  // one on average
  EXPECT_LT(same_lengths, 40);  // 16 on average
}

}  // namespace
}  // namespace lockstep
