#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "comm/cost/cost_model.h"

namespace lockstep {

/// Fits two non-negative factors so that first * p + second * q approximates `value`: minimizes the sum of
/// squares of the relative errors (value - first * p - second * q) / value. Fewer than two different points
/// determine one factor: second = 0 unless p is 0 in all of them.
struct LinearPoint {
  double p = 0, q = 0, value = 0;
};
struct LinearFit {
  double first = 0, second = 0;
};
LinearFit fit_factors(std::span<const LinearPoint> points);

/// The measured time of one all-reduce of `bytes` over `ranks`.
struct MeasuredAllReduce {
  int64_t ranks = 0;
  double bytes = 0, seconds = 0;
};

/// Measurements of a step on `ranks` ranks.
struct MeasuredStep {
  int64_t ranks = 0;
  double samples_per_rank = 0;
  double compute_seconds = 0, spread_seconds = 0;
};

/// A model of the ranks' compute and their connections, fitted to measurements on one machine.
struct ScalingModel {
  double fixed_seconds = 0, seconds_per_sample = 0;  ///< of a rank's compute per step
  double spread = 0;                                 ///< standard deviation of compute, relative to it
  Fabric fabric;
  std::vector<double> bucket_bytes;
  bool overlap = false;

  StepWork work(double samples_per_rank) const;
  /// The cost of a step on `ranks` ranks.
  StepCost cost(int64_t ranks, double samples_per_rank) const;
};

/// Fits only compute. `known` provides the fabric, buckets and overlap; steps must not be empty.
ScalingModel fit_compute(const ScalingModel& known, std::span<const MeasuredStep> steps);

/// Fits compute to the steps and the link to the all-reduces, by least squares. Nothing if no step, or no
/// all-reduce over several ranks, was measured.
std::optional<ScalingModel> fit_scaling(const ScalingModel& known, std::span<const MeasuredStep> steps,
                                        std::span<const MeasuredAllReduce> sums);

/// Cross-validation: for each step, the seconds predicted by the model fitted to the other numbers of ranks;
/// nothing for a step that the others cannot predict.
std::vector<std::optional<double>> leave_one_out(const ScalingModel& known,
                                                 std::span<const MeasuredStep> steps,
                                                 std::span<const MeasuredAllReduce> sums);

}  // namespace lockstep
