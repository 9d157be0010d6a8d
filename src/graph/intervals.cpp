#include "src/graph/intervals.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace lockstep {

namespace {

constexpr int64_t kAlignment = 256;

}  // namespace

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

std::vector<int64_t> place_intervals(const std::vector<Interval>& intervals, int64_t& total) {
  std::vector<size_t> order(intervals.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return intervals[a].bytes > intervals[b].bytes; });
  std::vector<int64_t> offsets(intervals.size(), 0);
  std::vector<size_t> placed;  // by offset
  total = 0;
  for (const size_t i : order) {
    int64_t offset = 0;
    const int64_t bytes = aligned(intervals[i].bytes);
    for (const size_t other : placed) {
      const bool together =
          intervals[other].first <= intervals[i].last && intervals[i].first <= intervals[other].last;
      if (!together) continue;
      if (offset + bytes <= offsets[other]) break;
      offset = std::max(offset, offsets[other] + aligned(intervals[other].bytes));
    }
    offsets[i] = offset;
    total = std::max(total, offset + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), i,
                                   [&](size_t a, size_t b) { return offsets[a] < offsets[b]; }),
                  i);
  }
  return offsets;
}

}  // namespace lockstep
