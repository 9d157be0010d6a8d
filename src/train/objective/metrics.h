#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/train/objective/metric_tables.h"

namespace lockstep {

/// A metric that evaluation reports, as the config names it: "accuracy", "top_5".
struct Metric {
  std::string name;
  bool higher_is_better = true;
  bool is_share = false;  ///< a part of all targets, shown in per cent
  MetricNeeds needs;
  double (*value)(const MetricTables& tables) = nullptr;
  int64_t top = 0;  ///< top_K: K
};

/// All metrics with what they mean, and for which tasks ("classes", "labels", "values"): for --help and docs.
struct MetricHelp {
  std::string name, tasks, meaning;
};
std::vector<MetricHelp> metric_help();

/// Whether there is a metric of this name, whatever the targets are.
bool is_metric(const std::string& name);
/// Names to choose from, for suggestions.
std::vector<std::string> metric_names();

/// Whether larger values of a metric that checkpoints and early stopping watch are better: "validation_loss"
/// or "validation_METRIC".
bool higher_is_better(const std::string& watched);

/// What a run's evaluations report: train.metrics, or the usual ones for the targets, and the watched metric.
/// Throws Error(usage) for a name that does not fit them, with those that do.
std::vector<Metric> chosen_metrics(const TrainOptions& options, const Objective& objective);

/// What all of them need together.
MetricNeeds needs_of(const std::vector<Metric>& metrics);

/// A metric's value; NaN where the data cannot tell.
double value_of(const Metric& metric, const MetricTables& tables, const MetricNeeds& needs);

/// Of one class or label; none where there is nothing to divide by.
struct ClassScores {
  int64_t samples = 0;  ///< targets that are of it
  std::optional<double> precision, recall, f1, iou, auc;
};
std::vector<ClassScores> class_scores(const MetricTables& tables);

}  // namespace lockstep
