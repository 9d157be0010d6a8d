#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "comm/cost/cost_model.h"

namespace lockstep {

/// The two non-negative factors with which first * p + second * q is nearest to `value` in relative terms:
/// the sum of squares of (value - first * p - second * q) / value is least. Fewer than two different points
/// give one factor: second = 0 unless first is 0 in all of them.
struct LinearPoint {
  double p = 0, q = 0, value = 0;
};
struct LinearFit {
  double first = 0, second = 0;
};
LinearFit fit_factors(std::span<const LinearPoint> points);

/// A sum of `bytes` over `ranks` that took so many seconds.
struct MeasuredSum {
  int64_t ranks = 0;
  double bytes = 0, seconds = 0;
};

/// What was measured of a step on so many ranks.
struct MeasuredStep {
  int64_t ranks = 0;
  double samples_per_rank = 0;
  double compute_seconds = 0, spread_seconds = 0;
};

/// What the ranks, their computing and their connection are like, as far as it can be told from measurements
/// on one machine.
struct ScalingModel {
  double fixed_seconds = 0, seconds_per_sample = 0;  ///< of a rank's compute in a step
  double spread = 0;                                 ///< standard deviation of compute, in parts of it
  Fabric fabric;
  std::vector<double> bucket_bytes;
  bool overlap = false;

  StepWork work(double samples_per_rank) const;
  /// What a step on so many ranks costs.
  StepCost cost(int64_t ranks, double samples_per_rank) const;
};

/// Fits compute alone. `known` has the fabric, buckets and overlap; steps are not empty.
ScalingModel fit_compute(const ScalingModel& known, std::span<const MeasuredStep> steps);

/// Fits compute to the steps and the link to the sums, by least squares. Nothing when no
/// step, or no sum of several ranks was measured.
std::optional<ScalingModel> fit_scaling(const ScalingModel& known, std::span<const MeasuredStep> steps,
                                        std::span<const MeasuredSum> sums);

/// For each step, the seconds that the model gives it when fitted to the other numbers of ranks; nothing for
/// one that the others cannot predict.
std::vector<std::optional<double>> leave_one_out(const ScalingModel& known,
                                                 std::span<const MeasuredStep> steps,
                                                 std::span<const MeasuredSum> sums);

}  // namespace lockstep
