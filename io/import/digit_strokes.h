#pragma once

#include <span>
#include <vector>

namespace lockstep {

struct Point {
  float x, y;
};

/// Points a pen passes on a smooth curve, in a box of 1 x 1 with y pointing down. A point given twice is a
/// corner.
using Stroke = std::vector<Point>;

/// One way of writing a digit.
using Skeleton = std::vector<Stroke>;

/// The ways of writing `digit` (0 to 9) that synth_digits draws from, all equally often.
std::span<const Skeleton> digit_skeletons(int digit);

}  // namespace lockstep
