#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/train/objective/metric_tables.h"

namespace lockstep {

/// A metric that evaluation reports; `name` as in the config: "accuracy", "top_5", "recall_1".
struct Metric {
  std::string name;
  bool higher_is_better = true;
  bool is_share = false;  ///< a fraction of all targets, shown in percent
  MetricNeeds needs;
  double (*value)(const MetricTables& tables) = nullptr;                    ///< null: it has a number
  double (*of_class)(const MetricTables& tables, size_t number) = nullptr;  ///< METRIC_C
  int64_t number = -1;  ///< K of top_K, C of METRIC_C; -1: none
};

/// A metric, the tasks that it applies to ("classes", "labels", "values") and its meaning.
struct MetricHelp {
  std::string name, tasks, meaning;
};
std::vector<MetricHelp> metric_help();

/// Whether a metric has this name, for any kind of targets.
bool is_metric(const std::string& name);
/// Names to choose from, for suggestions.
std::vector<std::string> metric_names();

/// Whether larger values are better. `watched` is the metric that checkpoints and early stopping watch:
/// "validation_loss" or "validation_METRIC".
bool higher_is_better(const std::string& watched);

/// The metrics that a run's evaluations report: train.metrics, or the defaults for the targets, and the
/// watched metric. Throws Error(usage) for a metric that does not apply to the targets, naming those that do.
std::vector<Metric> chosen_metrics(const TrainOptions& options, const Objective& objective);

/// Everything that these metrics need.
MetricNeeds needs_of(const std::vector<Metric>& metrics);

/// A metric's value; NaN where the data does not define it.
double value_of(const Metric& metric, const MetricTables& tables, const MetricNeeds& needs);

/// Scores of one class or label; empty where the denominator would be 0.
struct ClassScores {
  int64_t samples = 0;  ///< number of its targets
  std::optional<double> precision, recall, f1, iou, auc;
};
std::vector<ClassScores> class_scores(const MetricTables& tables);

}  // namespace lockstep
