#include "io/dataset/order/window_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "io/dataset/order/sampler.h"

namespace lockstep {
namespace {

struct Case {
  WindowShape shape;
  std::vector<int64_t> parts;
  int64_t batch;
};

int64_t total(const std::vector<int64_t>& parts) {
  int64_t sum = 0;
  for (const int64_t part : parts) sum += part;
  return sum;
}

Sampler sampler_of(const Case& c, uint64_t seed = 3) {
  return {seed, total(c.parts), c.batch, {Order::Kind::windows, c.shape, c.parts}};
}

/// The samples of an epoch in the order of its slots.
std::vector<int64_t> epoch_of(const Sampler& sampler, int64_t batch, int64_t epoch) {
  std::vector<int64_t> samples;
  for (int64_t step = 0; step < sampler.steps_per_epoch(); ++step)
    for (int64_t slot = 0; slot < batch; ++slot)
      if (const int64_t sample = sampler.sample(epoch, step, slot); sample >= 0) samples.push_back(sample);
  return samples;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::vector<int64_t>& parts : std::vector<std::vector<int64_t>>{
           {1}, {7}, {100}, {1000}, {1024}, {64, 64, 64}, {100, 1, 0, 37, 250}, {3, 3, 3, 3}, {999, 5, 1200}})
    for (const int64_t batch : {1, 6, 8, 32})
      for (const int64_t lanes : {1, 2, 8, 32})
        for (const int64_t run : {1, 5, 16, 64})
          for (const int64_t mixed : {1, 3})
            for (const bool keeps_runs : {false, true})
              if (batch % lanes == 0) all.push_back({{lanes, run, mixed, keeps_runs}, parts, batch});
  return all;
}

TEST(WindowOrder, GivesEverySampleOnceAnEpoch) {
  for (const Case& c : cases()) {
    const Sampler sampler = sampler_of(c);
    for (const int64_t epoch : {0, 1}) {
      std::vector<int64_t> samples = epoch_of(sampler, c.batch, epoch);
      std::sort(samples.begin(), samples.end());
      ASSERT_EQ(samples.size(), static_cast<size_t>(total(c.parts)));
      for (size_t i = 0; i < samples.size(); ++i)
        ASSERT_EQ(samples[i], static_cast<int64_t>(i))
            << c.shape.lanes << " lanes, " << c.shape.runs_mixed << " runs of " << c.shape.run << ", batch "
            << c.batch << ", " << c.parts.size() << " parts";
    }
  }
}

TEST(WindowOrder, WorksFarBeyondMemory) {
  const Case c{{64, 512, 4}, {int64_t{1} << 40, 12345, (int64_t{1} << 38) + 7}, 256};
  const Sampler sampler = sampler_of(c);
  std::set<int64_t> seen;
  for (int64_t i = 0; i < 1000; ++i) {
    for (const int64_t slot : {0, 100, 255}) {
      const int64_t sample = sampler.sample(2, sampler.steps_per_epoch() / 1000 * i, slot);
      ASSERT_GE(sample, 0);
      ASSERT_LT(sample, total(c.parts));
      ASSERT_TRUE(seen.insert(sample).second);
    }
  }
}

TEST(WindowOrder, EpochsAndSeedsDifferAndRepeat) {
  const Case c{{8, 16, 2}, {4096}, 32};
  const auto order = [&](uint64_t seed, int64_t epoch) { return epoch_of(sampler_of(c, seed), 32, epoch); };
  EXPECT_EQ(order(1, 5), order(1, 5));
  const auto first = order(0, 0);
  for (const auto& other : {order(0, 1), order(1, 0), order(7, 7)}) {
    int64_t equal = 0;
    for (size_t i = 0; i < first.size(); ++i) equal += first[i] == other[i] ? 1 : 0;
    EXPECT_LT(equal, 16);  // one on average
  }
}

// Each part of a batch comes from the same samples in every epoch and for every seed, but for those of runs
// that no lane owns, and in another order.
TEST(WindowOrder, LanesMayKeepTheirRuns) {
  const Case c{{8, 16, 2, true}, {4096, 1000, 77}, 32};
  const auto of_lane = [&](uint64_t seed, int64_t epoch, int64_t lane) {
    const Sampler sampler = sampler_of(c, seed);
    std::vector<int64_t> samples;
    for (int64_t step = 0; step + 1 < sampler.steps_per_epoch(); ++step)
      for (int64_t slot = lane * 4; slot < lane * 4 + 4; ++slot)
        samples.push_back(sampler.sample(epoch, step, slot));
    return samples;
  };
  for (int64_t lane = 0; lane < 8; ++lane) {
    const std::vector<int64_t> first = of_lane(1, 0, lane);
    const std::set<int64_t> in_first(first.begin(), first.end());
    for (const std::vector<int64_t>& other : {of_lane(1, 1, lane), of_lane(5, 3, lane)}) {
      EXPECT_NE(other, first);
      const auto same =
          std::ranges::count_if(other, [&](int64_t sample) { return in_first.contains(sample); });
      EXPECT_GT(same, std::ssize(other) * 9 / 10) << lane;
    }
  }
  const std::vector<int64_t> dealt_anew = epoch_of(sampler_of({{8, 16, 2}, c.parts, c.batch}), 32, 1);
  EXPECT_NE(dealt_anew, epoch_of(sampler_of(c), 32, 1));
}

/// How often runs are fetched by ranks that each keep the `kept` runs used last.
int64_t fetches(const Case& c, int64_t ranks, int64_t kept) {
  const Sampler sampler = sampler_of(c);
  const int64_t slots = c.batch / ranks;
  int64_t count = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    std::map<int64_t, int64_t> last_use;
    int64_t now = 0;
    for (int64_t step = 0; step < sampler.steps_per_epoch(); ++step) {
      for (int64_t slot = rank * slots; slot < (rank + 1) * slots; ++slot) {
        const int64_t sample = sampler.sample(0, step, slot);
        if (sample < 0) continue;
        const int64_t run = sample / c.shape.run;
        if (!last_use.contains(run)) {
          ++count;
          if (static_cast<int64_t>(last_use.size()) == kept)
            last_use.erase(
                std::ranges::min_element(last_use, {}, [](const auto& use) { return use.second; }));
        }
        last_use[run] = ++now;
      }
    }
  }
  return count;
}

// With room for twice the active runs, each is fetched once, whatever the number of ranks: those of a window
// in which an epoch begins and ends twice, and those that no lane owns once by each rank.
TEST(WindowOrder, ReadsEachRunOnceWithRoomForTwiceTheActiveOnes) {
  const Case c{{16, 32, 2}, {64 * 1000}, 64};
  const int64_t runs = 2000, active = WindowOrder(c.shape, c.parts, c.batch).active_runs();
  EXPECT_EQ(active, 33);
  for (const int64_t ranks : {1, 2, 4, 16}) {
    const int64_t in_two_windows = 16 * 2, left_over = 16 * ranks;
    const int64_t count = fetches(c, ranks, 2 * active / ranks);
    EXPECT_GE(count, runs) << ranks;
    EXPECT_LE(count, runs + in_two_windows + left_over) << ranks;
  }
  // A full shuffle fetches nearly every sample's run anew.
  const Sampler full(3, 64 * 1000, 64, {Order::Kind::full});
  int64_t jumps = 0, before = -1;
  for (int64_t step = 0; step < 1000; ++step)
    for (int64_t slot = 0; slot < 64; ++slot, ++jumps)
      if (const int64_t run = full.sample(0, step, slot) / 32; run == std::exchange(before, run)) --jumps;
  EXPECT_GT(jumps, 60000);
}

// Runs are needed at a steady rate: no step needs many new ones.
TEST(WindowOrder, SpreadsNewRunsOverTheSteps) {
  const Case c{{16, 32, 1}, {64 * 1000}, 64};
  const Sampler sampler = sampler_of(c);
  std::set<int64_t> seen;
  for (int64_t step = 0; step < 900; ++step) {
    size_t before = seen.size();
    for (int64_t slot = 0; slot < 64; ++slot) seen.insert(sampler.sample(0, step, slot) / 32);
    // Two a step on average.
    if (step > 0) {
      EXPECT_LE(seen.size() - before, 8) << step;
    }
  }
}

// Sorted by label, the hardest case: the labels of a batch vary as those of 32 runs drawn at random.
TEST(WindowOrder, MixesLabelsThatAreSorted) {
  constexpr int64_t kSamples = 60000, kClasses = 10, kBatch = 64, kRun = 64;
  const Case c{{32, kRun, 1}, {kSamples}, kBatch};
  const Sampler sampler = sampler_of(c);
  double chi_square = 0;
  int64_t steps = 0;
  for (int64_t step = 0; step + 1 < sampler.steps_per_epoch(); ++step, ++steps) {
    std::vector<double> counts(kClasses);
    for (int64_t slot = 0; slot < kBatch; ++slot)
      ++counts[static_cast<size_t>(sampler.sample(0, step, slot) * kClasses / kSamples)];
    for (const double count : counts) chi_square += (count - 6.4) * (count - 6.4) / 6.4;
  }
  // Nine degrees of freedom if drawn at random. A batch has two samples of each of 32 runs: twice that.
  const double mean = chi_square / static_cast<double>(steps);
  EXPECT_GT(mean, 14);
  EXPECT_LT(mean, 19);
  // And each position of an epoch is as likely to have any label: the first tenth has all of them.
  std::vector<double> counts(kClasses);
  for (int64_t step = 0; step < 94; ++step)
    for (int64_t slot = 0; slot < kBatch; ++slot)
      ++counts[static_cast<size_t>(sampler.sample(0, step, slot) * kClasses / kSamples)];
  for (const double count : counts) EXPECT_NEAR(count, 601.6, 550);  // three standard deviations
}

}  // namespace
}  // namespace lockstep
