#include "src/graph/intervals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "src/core/rng.h"

namespace lockstep {
namespace {

TEST(PlaceIntervals, NeverLetsTwoLivingTensorsOverlap) {
  RandomStream random(11, 0);
  for (int round = 0; round < 200; ++round) {
    std::vector<Interval> intervals(1 + random.next_below(40));
    int64_t most_alive = 0;
    for (Interval& interval : intervals) {
      interval.first = static_cast<int>(random.next_below(30));
      interval.last = interval.first + static_cast<int>(random.next_below(10));
      interval.bytes = 1 + random.next_below(5000);
    }
    for (int moment = 0; moment < 40; ++moment) {
      int64_t alive = 0;
      for (const Interval& interval : intervals)
        if (interval.first <= moment && moment <= interval.last) alive += interval.bytes;
      most_alive = std::max(most_alive, alive);
    }
    int64_t total = 0;
    const std::vector<int64_t> offsets = place_intervals(intervals, total);
    EXPECT_GE(total, most_alive);
    for (size_t a = 0; a < intervals.size(); ++a) {
      EXPECT_EQ(offsets[a] % 256, 0);
      EXPECT_LE(offsets[a] + intervals[a].bytes, total);
      for (size_t b = 0; b < a; ++b) {
        const bool together =
            intervals[a].first <= intervals[b].last && intervals[b].first <= intervals[a].last;
        const bool apart =
            offsets[a] + intervals[a].bytes <= offsets[b] || offsets[b] + intervals[b].bytes <= offsets[a];
        EXPECT_TRUE(apart || !together);
      }
    }
  }
}

TEST(PlaceIntervals, ReusesTheMemoryOfTheDead) {
  int64_t total = 0;
  place_intervals({{0, 1, 1024}, {2, 3, 1024}, {4, 5, 512}}, total);
  EXPECT_EQ(total, 1024);
}

}  // namespace
}  // namespace lockstep
