#pragma once

#include <vector>

namespace lockstep {

/// Area under the ROC curve: the fraction of pairs of a positive and a negative whose scores are in the right
/// order, counting ties as one half (Mann and Whitney 1947). NaN if there are no positives or no negatives,
/// or if a score is NaN.
double area_under_curve(std::vector<float> positives, std::vector<float> negatives);

}  // namespace lockstep
