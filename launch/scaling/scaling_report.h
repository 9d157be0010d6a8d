#pragma once

#include <optional>
#include <string>
#include <vector>

#include "comm/cost/scaling_fit.h"
#include "launch/report/report.h"
#include "launch/scaling/scaling_runs.h"

namespace lockstep {

/// A prediction for a step that was not measured. Efficiency is relative to the model's single rank.
struct PredictedPoint {
  ScalingMode mode = ScalingMode::weak;
  int64_t ranks = 0;
  double samples_per_rank = 0, samples_per_s = 0, efficiency = 0;
  StepCost cost;
  double best_bucket_bytes = 0;
};

/// A measured point and its prediction by the model fitted to the other numbers of ranks.
struct HeldOutPoint {
  ScalingMode mode = ScalingMode::weak;
  int64_t ranks = 0;
  double measured_ms = 0, predicted_ms = 0;
  double error() const { return predicted_ms / measured_ms - 1; }
};

/// The result of `lockstep bench scaling`.
struct ScalingResult {
  std::string title;                 ///< what was measured or described, in one line
  std::vector<ScalingPoint> points;  ///< by mode, then ranks
  std::optional<ScalingModel> model;
  std::string model_basis;  ///< "fitted to ..." or the file that describes it
  std::vector<HeldOutPoint> held_out;
  std::vector<PredictedPoint> predictions;
};

/// Speed-up over the mode's first point, and speed-up divided by the ratio of the ranks.
double speed_up(const ScalingResult& result, const ScalingPoint& point);
double efficiency(const ScalingResult& result, const ScalingPoint& point);

/// For people, in at most 80 columns.
void print_scaling(const ScalingResult& result);
Json scaling_json(const ScalingResult& result);
/// One line per point, measured, held out or predicted.
std::string scaling_csv(const ScalingResult& result);

}  // namespace lockstep
