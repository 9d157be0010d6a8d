#pragma once

#include <limits>
#include <string>

namespace lockstep {

/// The numbers that a setting may have.
struct Range {
  double min = -std::numeric_limits<double>::infinity(), max = std::numeric_limits<double>::infinity();
  bool min_open = false, max_open = false;  ///< whether the bound itself is excluded

  /// False for NaN.
  bool contains(double value) const {
    return (min_open ? value > min : value >= min) && (max_open ? value < max : value <= max);
  }
};
inline constexpr Range kFraction{.min = 0, .max = 1, .max_open = true}, kPositive{.min = 0, .min_open = true},
    kNotNegative{.min = 0};

/// "from 1 to 8", "in [0, 1)", "above 0": what follows "must be".
std::string to_string(const Range& range);

}  // namespace lockstep
