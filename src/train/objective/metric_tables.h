#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "src/optim/exact_sum.h"
#include "src/train/objective/objective.h"

namespace lockstep {

/// What must be collected over a data set to make some metrics.
struct MetricNeeds {
  bool counts = false;            ///< of classes or labels
  bool confusion = false;         ///< classes against classes
  bool likelihood = false;        ///< log probabilities
  bool scores = false;            ///< every probability
  bool errors = false;            ///< of numbers
  std::vector<int64_t> top = {};  ///< for each k: whether the class is among the k largest

  bool any() const { return counts || confusion || likelihood || scores || errors || !top.empty(); }
};

/// A sum of numbers of any sign whose bits do not depend on their order.
struct ExactSignedSum {
  ExactSum positive, negative;
  void add(double term) { (term < 0 ? negative : positive).add(term < 0 ? -term : term); }
  double value() const { return positive.value() - negative.value(); }
};

/// What metrics are computed from: counts, and exact sums over a model's answers on a data set, which do not
/// depend on how samples were spread over micro-batches, threads and ranks, or padded. A lane adds to tables
/// of its own; they are joined at the end.
class MetricTables {
 public:
  /// samples: of the whole data set. Throws Error(usage) where auc would have to keep more than 2^28 scores.
  MetricTables(const Objective& objective, const MetricNeeds& needs, int64_t samples);

  /// Takes samples [first, first + count) of the data set: outputs as the network gives them, (count,
  /// positions, outputs), and targets as the loader delivers them, both in host memory.
  void add(const float* outputs, const std::byte* targets, int64_t first, int64_t count);
  /// Joins the tables of another lane.
  void add(const MetricTables& other);
  /// Joins those of all ranks; `all_reduce` replaces values by their sums over the ranks.
  using AllReduce = std::function<void(std::span<double> values)>;
  void join(const AllReduce& all_reduce);

  // What was found, after join():

  int64_t classes() const { return static_cast<int64_t>(support.size()); }
  /// Targets that count: not the ignored ones.
  int64_t targets = 0;
  /// Of each class: targets that are of it, answers that say so, and those of both. Of labels: where they
  /// are 1.
  std::vector<int64_t> support, predicted, right;
  /// Answers that are right; of labels, 0 and 1 alike.
  int64_t all_right = 0;
  std::vector<int64_t> confusion;  ///< (target, answer); empty unless needed
  std::vector<int64_t> top_right;  ///< for each MetricNeeds::top
  double negative_log_likelihood() const { return log_likelihood_.value(); }
  /// Area under the receiver operating characteristic of each class or label against all others; NaN where
  /// there are none of either kind.
  std::vector<double> areas;

  // Of numbers: sums over all of them, and for each column (see column_count()) what R2 is made of.
  double absolute_errors() const { return absolute_.value(); }
  double squared_errors() const { return squared_.value(); }
  struct Column {
    double squared_errors = 0, squared_deviations = 0;  ///< deviations: of the targets from their mean
  };
  std::vector<Column> columns() const;

  /// Targets of sample 0, from which deviations are measured, so that large numbers that hardly differ lose
  /// nothing. The same on all ranks; before the first add().
  void set_reference(const std::byte* targets);

 private:
  struct ColumnSums {
    ExactSum errors, squares;   ///< squares: of targets less their reference
    ExactSignedSum deviations;  ///< those themselves
  };
  void add_classes(const float* outputs, const std::byte* targets, int64_t first, int64_t count);
  void add_labels(const float* outputs, const float* targets, int64_t first, int64_t count);
  void add_numbers(const float* outputs, const float* targets, int64_t count);
  void add_log_likelihood(const float* logits, int64_t label, const float* probabilities);
  void make_areas(const AllReduce& all_reduce);
  template <typename Visit>
  void for_each_count(Visit visit);
  template <typename Visit>
  void for_each_sum(Visit visit);

  MetricNeeds needs_;
  TargetKind kind_;
  int64_t outputs_, positions_, samples_;
  int32_t ignored_label_;
  std::vector<float> reference_;  // of each column
  ExactSum log_likelihood_, absolute_, squared_;
  std::vector<ColumnSums> columns_;
  // Of each row that was added: its number, its classes' or labels' probabilities, and its class or labels.
  std::vector<int64_t> rows_;
  std::vector<float> scores_;
  std::vector<int32_t> labels_;
};

/// The area under the receiver operating characteristic: the share of pairs of a positive and a negative
/// whose scores are in the right order, where equal ones count half (Mann and Whitney 1947). An exact rank
/// statistic. NaN where one of them is missing, or a score is NaN.
double area_under_curve(std::vector<float> positives, std::vector<float> negatives);

}  // namespace lockstep
