#pragma once

#include <span>

namespace lockstep {

/// The median and the extremes of repeated measurements.
struct Spread {
  double median = 0, min = 0, max = 0;
};

/// Of at least one value; the median of an even number is the mean of the middle two.
Spread spread_of(std::span<const double> values);

}  // namespace lockstep
