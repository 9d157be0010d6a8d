#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "src/optim/exact_sum.h"
#include "src/train/objective/objective.h"

namespace lockstep {

/// What to collect over a data set to compute some metrics.
struct MetricNeeds {
  bool counts = false;            ///< targets and predictions of each class or label
  bool confusion = false;         ///< the confusion matrix of the classes
  bool likelihood = false;        ///< log-likelihood of the targets
  bool scores = false;            ///< every probability
  bool errors = false;            ///< absolute and squared errors of numbers
  std::vector<int64_t> top = {};  ///< each K of the metrics top_K

  bool any() const { return counts || confusion || likelihood || scores || errors || !top.empty(); }
};

/// A sum of numbers of either sign whose bits do not depend on the order of the terms.
struct ExactSignedSum {
  ExactSum positive, negative;
  void add(double term) { (term < 0 ? negative : positive).add(term < 0 ? -term : term); }
  double value() const { return positive.value() - negative.value(); }
};

/// Tables from which metrics are computed: counts and exact sums over a model's predictions on a data set.
/// They do not depend on how the samples are divided into micro-batches, threads and ranks, or padded. Each
/// lane fills its own tables; they are joined at the end.
class MetricTables {
 public:
  /// samples: number of samples in the whole data set. Throws Error(usage) if auc would keep more than 2^28
  /// scores.
  MetricTables(const Objective& objective, const MetricNeeds& needs, int64_t samples);

  /// Adds samples [first, first + count) of the data set: the network's outputs (count, positions, outputs)
  /// and the targets as the loader delivers them, both in host memory.
  void add(const float* outputs, const std::byte* targets, int64_t first, int64_t count);
  /// Adds the tables of another lane.
  void add(const MetricTables& other);
  /// Adds up the tables of all ranks; `all_reduce` replaces values by their sums over the ranks.
  using AllReduce = std::function<void(std::span<double> values)>;
  void join(const AllReduce& all_reduce);

  // The results, after join():

  int64_t classes() const { return static_cast<int64_t>(support.size()); }
  /// Number of targets, without ignored ones.
  int64_t targets = 0;
  /// For each class: its targets, its predictions, and its correct predictions. For each label: those that
  /// are 1.
  std::vector<int64_t> support, predicted, right;
  /// Correct predictions of all classes; for labels, of 0 as well as of 1.
  int64_t all_right = 0;
  std::vector<int64_t> confusion;  ///< (target, prediction); empty unless needed
  std::vector<int64_t> top_right;  ///< correct predictions for each MetricNeeds::top
  double negative_log_likelihood() const { return log_likelihood_.value(); }
  /// Area under the ROC curve of each class or label against all others; NaN if it has no targets, or all of
  /// them.
  std::vector<double> areas;

  // For numbers: sums over all of them, and the terms of R2 for each column.
  double absolute_errors() const { return absolute_.value(); }
  double squared_errors() const { return squared_.value(); }
  struct Column {
    double squared_errors = 0, squared_deviations = 0;  ///< deviations: of the targets from their mean
  };
  std::vector<Column> columns() const;

  /// Sets the values from which deviations are measured: the targets of sample 0, so that large numbers with
  /// small differences keep their precision. Must be the same on all ranks. Call before the first add().
  void set_reference(const std::byte* targets);

 private:
  struct ColumnSums {
    ExactSum errors, squares;   ///< squares: of the deviations of targets from their reference
    ExactSignedSum deviations;  ///< the deviations themselves
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
  // For each row that was added: its index, the probabilities of its classes or labels, and its class or
  // labels.
  std::vector<int64_t> rows_;
  std::vector<float> scores_;
  std::vector<int32_t> labels_;
};

}  // namespace lockstep
