#pragma once

#include <cstdint>
#include <vector>

namespace lockstep {

/// Memory that is in use from event `first` to event `last`, both included.
struct Interval {
  int first = 0, last = 0;
  int64_t bytes = 0;
};

/// The bytes that an interval takes up in the arena: a multiple of 256.
int64_t aligned(int64_t bytes);

/// Places intervals so that those that overlap in time do not overlap in memory: largest first, each at the
/// lowest offset that fits. Returns the offsets, multiples of 256, and the total.
std::vector<int64_t> place_intervals(const std::vector<Interval>& intervals, int64_t& total);

}  // namespace lockstep
