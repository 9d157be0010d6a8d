#include "src/train/objective/metrics.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double ratio(double some, double all) { return all == 0 ? kUnknown : some / all; }
double ratio(int64_t some, int64_t all) { return ratio(static_cast<double>(some), static_cast<double>(all)); }

/// The mean of f(hits, targets, predictions) over the classes that occur among the targets or the
/// predictions.
template <typename F>
double mean_over_classes(const MetricTables& t, F f) {
  double sum = 0;
  int64_t classes = 0;
  for (size_t c = 0; c < t.support.size(); ++c) {
    if (t.support[c] == 0 && t.predicted[c] == 0) continue;
    const double value = f(t.right[c], t.support[c], t.predicted[c]);
    sum += std::isnan(value) ? 0 : value;
    ++classes;
  }
  return ratio(sum, static_cast<double>(classes));
}

double precision_of(int64_t hits, int64_t, int64_t answers) { return ratio(hits, answers); }
double recall_of(int64_t hits, int64_t targets, int64_t) { return ratio(hits, targets); }
double f1_of(int64_t hits, int64_t targets, int64_t answers) { return ratio(2 * hits, targets + answers); }
double iou_of(int64_t hits, int64_t targets, int64_t answers) {
  return ratio(hits, targets + answers - hits);
}

/// f(hits, targets, predictions) of one class.
template <double f(int64_t, int64_t, int64_t)>
double of_class(const MetricTables& t, size_t c) {
  return f(t.right[c], t.support[c], t.predicted[c]);
}
double area_of_class(const MetricTables& t, size_t c) { return t.areas[c]; }

double accuracy(const MetricTables& t) { return ratio(t.all_right, t.targets); }
double balanced_accuracy(const MetricTables& t) {
  double sum = 0;
  int64_t classes = 0;
  for (size_t c = 0; c < t.support.size(); ++c) {
    if (t.support[c] == 0) continue;
    sum += ratio(t.right[c], t.support[c]);
    ++classes;
  }
  return ratio(sum, static_cast<double>(classes));
}
double precision(const MetricTables& t) { return mean_over_classes(t, precision_of); }
double recall(const MetricTables& t) { return mean_over_classes(t, recall_of); }
double f1(const MetricTables& t) { return mean_over_classes(t, f1_of); }
double iou(const MetricTables& t) { return mean_over_classes(t, iou_of); }
double auc(const MetricTables& t) {
  double sum = 0;
  int64_t known = 0;
  for (const double area : t.areas) {
    if (std::isnan(area)) continue;
    sum += area;
    ++known;
  }
  return ratio(sum, static_cast<double>(known));
}
double perplexity(const MetricTables& t) {
  return std::exp(ratio(t.negative_log_likelihood(), static_cast<double>(t.targets)));
}
double mae(const MetricTables& t) { return ratio(t.absolute_errors(), static_cast<double>(t.targets)); }
double rmse(const MetricTables& t) {
  return std::sqrt(ratio(t.squared_errors(), static_cast<double>(t.targets)));
}
double r2(const MetricTables& t) {
  double sum = 0;
  const std::vector<MetricTables::Column> columns = t.columns();
  for (const MetricTables::Column& column : columns)
    sum += column.squared_deviations > 0 ? 1 - column.squared_errors / column.squared_deviations : kUnknown;
  return ratio(sum, static_cast<double>(columns.size()));
}

const MetricNeeds kCounts{.counts = true};
const MetricNeeds kScores{.scores = true};
const MetricNeeds kLikelihood{.likelihood = true};
const MetricNeeds kErrors{.errors = true};

enum class Shown { as_share, as_number };
constexpr unsigned kClasses = 1, kLabels = 2, kValues = 4;

/// One metric per row: its name, the targets it applies to, its direction, how it is computed from the
/// tables, its meaning, and how it is computed for one class alone, where that is another metric.
struct Row {
  const char* name;
  unsigned tasks;
  Better better;
  Shown shown;
  const MetricNeeds* needs;  ///< null: top_K, whose needs follow from K
  double (*value)(const MetricTables&);
  const char* meaning;
  double (*of_class)(const MetricTables&, size_t) = nullptr;
};
const Row kRows[] = {
    {"accuracy", kClasses | kLabels, Better::higher, Shown::as_share, &kCounts, accuracy,
     "fraction of correct predictions"},
    {"top_K", kClasses, Better::higher, Shown::as_share, nullptr, nullptr,
     "fraction of targets whose class is among the K most probable ones, for example top_5"},
    {"balanced_accuracy", kClasses, Better::higher, Shown::as_share, &kCounts, balanced_accuracy,
     "mean recall of the classes that have targets"},
    {"precision", kClasses | kLabels, Better::higher, Shown::as_number, &kCounts, precision,
     "fraction of the predictions of a class that are correct; mean over classes", of_class<precision_of>},
    {"recall", kClasses | kLabels, Better::higher, Shown::as_number, &kCounts, recall,
     "fraction of the targets of a class that are predicted; mean over classes", of_class<recall_of>},
    {"f1", kClasses | kLabels, Better::higher, Shown::as_number, &kCounts, f1,
     "harmonic mean of precision and recall of a class; mean over classes", of_class<f1_of>},
    {"iou", kClasses | kLabels, Better::higher, Shown::as_number, &kCounts, iou,
     "intersection over union of the targets and predictions of a class; mean over classes",
     of_class<iou_of>},
    {"auc", kClasses | kLabels, Better::higher, Shown::as_number, &kScores, auc,
     "area under the ROC curve of a class against all others; mean over classes", area_of_class},
    {"perplexity", kClasses, Better::lower, Shown::as_number, &kLikelihood, perplexity,
     "exp of the mean cross-entropy, without class weights"},
    {"mae", kValues, Better::lower, Shown::as_number, &kErrors, mae, "mean absolute error"},
    {"rmse", kValues, Better::lower, Shown::as_number, &kErrors, rmse, "root mean squared error"},
    {"r2", kValues, Better::higher, Shown::as_number, &kErrors, r2,
     "coefficient of determination; mean over the elements of a vector"},
};

/// The parts of a metric's name: "top" and 5 of "top_5"; all of "balanced_accuracy", and -1.
std::pair<std::string, int64_t> parts_of(const std::string& name) {
  const size_t at = name.rfind('_');
  if (at == std::string::npos) return {name, -1};
  int64_t number = -1;
  const char *const first = name.data() + at + 1, *const last = name.data() + name.size();
  const auto [end, error] = std::from_chars(first, last, number);
  if (error != std::errc{} || end != last || number < 0) return {name, -1};
  return {name.substr(0, at), number};
}

bool is_top(const Row& row) { return row.needs == nullptr; }

const Row* row_of(const std::string& name) {
  const auto [base, number] = parts_of(name);
  for (const Row& row : kRows) {
    if (is_top(row) && base == "top" && number > 0) return &row;
    if (!is_top(row) && base == row.name && (number < 0 || row.of_class != nullptr)) return &row;
  }
  return nullptr;
}

unsigned task_of(TargetKind kind) {
  if (kind == TargetKind::values) return kValues;
  return kind == TargetKind::labels ? kLabels : kClasses;
}

std::vector<std::string> names_for(unsigned tasks) {
  std::vector<std::string> names;
  for (const Row& row : kRows)
    if ((row.tasks & tasks) != 0) names.emplace_back(row.name);
  return names;
}

Metric metric_named(const std::string& name, const char* key, const Objective& objective) {
  const Row* const row = row_of(name);
  if (row == nullptr)
    fail(ExitCode::usage, "{}: unknown metric '{}'{}", key, name, suggestion(name, metric_names()));
  const unsigned task = task_of(objective.kind());
  if ((row->tasks & task) == 0)
    fail(ExitCode::usage, "{}: {} does not apply to targets that are {}. Metrics for them: {}.", key, name,
         task == kValues   ? "numbers"
         : task == kLabels ? "labels"
                           : "classes",
         fmt::join(names_for(task), ", "));
  Metric metric{.name = name,
                .higher_is_better = row->better == Better::higher,
                .is_share = row->shown == Shown::as_share,
                .needs = is_top(*row) ? MetricNeeds{} : *row->needs,
                .value = row->value,
                .number = parts_of(name).second};
  if (metric.number < 0) return metric;
  if (!is_top(*row)) {
    metric.of_class = row->of_class;
    if (metric.number >= objective.outputs())
      fail(ExitCode::usage, "{}: there is no {} {} for {}: they are 0 to {}.", key,
           objective.classifies() ? "class" : "label", metric.number, name, objective.outputs() - 1);
    return metric;
  }
  if (metric.number >= objective.outputs())
    fail(ExitCode::usage, "{}: {} is always 1 with {} classes. Use a smaller number.", key, name,
         objective.outputs());
  metric.needs.top = {metric.number};
  return metric;
}

constexpr std::string_view kValidation = "validation_";

/// "accuracy" of "validation_accuracy".
std::string without_split(const std::string& watched) { return watched.substr(kValidation.size()); }

}  // namespace

std::vector<MetricHelp> metric_help() {
  std::vector<MetricHelp> help;
  for (const Row& row : kRows) {
    std::vector<std::string> tasks;
    for (const auto& [task, name] :
         {std::pair{kClasses, "classes"}, std::pair{kLabels, "labels"}, std::pair{kValues, "values"}})
      if ((row.tasks & task) != 0) tasks.emplace_back(name);
    help.push_back({row.name, fmt::format("{}", fmt::join(tasks, ", ")), row.meaning});
  }
  return help;
}

bool is_metric(const std::string& name) { return row_of(name) != nullptr; }

std::vector<std::string> metric_names() { return names_for(kClasses | kLabels | kValues); }

bool higher_is_better(const std::string& watched) {
  if (watched == "validation_loss") return false;
  const Row* const row = row_of(without_split(watched));
  return row != nullptr && row->better == Better::higher;
}

std::vector<Metric> chosen_metrics(const TrainOptions& options, const Objective& objective) {
  std::vector<std::string> names = options.train.metrics;
  if (names.empty()) {
    names = {"accuracy"};
    if (options.data.task == TargetTask::tokens) names = {"accuracy", "perplexity"};
    if (objective.kind() == TargetKind::labels) names = {"accuracy", "f1"};
    if (objective.kind() == TargetKind::values) names = {"mae", "r2"};
  }
  std::vector<Metric> metrics;
  const auto add = [&](const std::string& name, const char* key) {
    const Metric metric = metric_named(name, key, objective);
    if (std::ranges::find(metrics, name, &Metric::name) == metrics.end()) metrics.push_back(metric);
  };
  for (const std::string& name : names) add(name, "train.metrics");
  if (options.watched_metric() != "validation_loss")
    add(without_split(options.watched_metric()), "train.early_stop.metric");
  return metrics;
}

MetricNeeds needs_of(const std::vector<Metric>& metrics) {
  MetricNeeds needs;
  for (const Metric& metric : metrics) {
    needs.counts |= metric.needs.counts;
    needs.confusion |= metric.needs.confusion;
    needs.likelihood |= metric.needs.likelihood;
    needs.scores |= metric.needs.scores;
    needs.errors |= metric.needs.errors;
    needs.top.insert(needs.top.end(), metric.needs.top.begin(), metric.needs.top.end());
  }
  return needs;
}

double value_of(const Metric& metric, const MetricTables& tables, const MetricNeeds& needs) {
  if (metric.number < 0) return metric.value(tables);
  if (metric.of_class != nullptr) return metric.of_class(tables, static_cast<size_t>(metric.number));
  const auto at = std::ranges::find(needs.top, metric.number) - needs.top.begin();
  return ratio(tables.top_right[static_cast<size_t>(at)], tables.targets);
}

std::vector<ClassScores> class_scores(const MetricTables& tables) {
  const auto known = [](double value) { return std::isnan(value) ? std::nullopt : std::optional(value); };
  std::vector<ClassScores> scores;
  for (size_t c = 0; c < tables.support.size(); ++c) {
    const int64_t hits = tables.right[c], targets = tables.support[c], answers = tables.predicted[c];
    scores.push_back({.samples = targets,
                      .precision = known(precision_of(hits, targets, answers)),
                      .recall = known(recall_of(hits, targets, answers)),
                      .f1 = known(f1_of(hits, targets, answers)),
                      .iou = known(iou_of(hits, targets, answers)),
                      .auc = tables.areas.empty() ? std::nullopt : known(tables.areas[c])});
  }
  return scores;
}

}  // namespace lockstep
