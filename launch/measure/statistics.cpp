#include "launch/measure/statistics.h"

#include <algorithm>
#include <vector>

#include "src/core/error.h"

namespace lockstep {

Spread spread_of(std::span<const double> values) {
  INVARIANT(!values.empty(), "the median of nothing");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  const double median = sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return {median, sorted.front(), sorted.back()};
}

}  // namespace lockstep
