#pragma once

#include <span>
#include <vector>

namespace lockstep {

struct Point {
  float x, y;
};

/// Points on the smooth curve of a pen, in a 1 x 1 box with y pointing down. A repeated point is a corner.
using Stroke = std::vector<Point>;

/// One way of writing a digit.
using Skeleton = std::vector<Stroke>;

/// The ways of writing `digit` (0 to 9) from which synth_digits chooses, with equal probability.
std::span<const Skeleton> digit_skeletons(int digit);

}  // namespace lockstep
