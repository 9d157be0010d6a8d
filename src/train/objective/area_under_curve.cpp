#include "src/train/objective/area_under_curve.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace lockstep {

double area_under_curve(std::vector<float> positives, std::vector<float> negatives) {
  const auto has_nan = [](const std::vector<float>& scores) {
    return std::ranges::any_of(scores, [](float score) { return std::isnan(score); });
  };
  if (positives.empty() || negatives.empty() || has_nan(positives) || has_nan(negatives))
    return std::numeric_limits<double>::quiet_NaN();
  std::ranges::sort(positives);
  std::ranges::sort(negatives);
  // Twice the number of ordered pairs, so that halves are integers. Since the scores are sorted, both ends of
  // the run of equal negatives only move up.
  uint64_t twice = 0;
  size_t below = 0, up_to = 0;
  for (const float score : positives) {
    while (below < negatives.size() && negatives[below] < score) ++below;
    up_to = std::max(up_to, below);
    while (up_to < negatives.size() && negatives[up_to] == score) ++up_to;
    twice += below + up_to;
  }
  return static_cast<double>(twice) / 2 / static_cast<double>(positives.size()) /
         static_cast<double>(negatives.size());
}

}  // namespace lockstep
