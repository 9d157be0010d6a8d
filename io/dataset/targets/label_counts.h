#pragma once

#include <cstdint>
#include <vector>

#include "io/dataset/dataset.h"

namespace lockstep {

/// Maximum number of classes. A model has one output per class, so larger labels cannot be classes.
inline constexpr int64_t kMaxClasses = int64_t{1} << 20;

/// Statistics of targets with one number per sample: whether all are integers, and how often each occurs.
class LabelCounts {
 public:
  /// Counts `times` samples of this value; at least one.
  void add(double value, int64_t times = 1);

  int64_t samples() const { return samples_; }
  /// Whether all are finite integers.
  bool whole() const { return whole_; }
  double min() const { return min_; }
  double max() const { return max_; }
  /// Number of different values; counts only integers from 0 to kMaxClasses - 1.
  int64_t distinct() const { return distinct_; }
  /// Whether each is an integer from 0 to `last`.
  bool labels_up_to(double last) const { return samples_ > 0 && whole_ && min_ >= 0 && max_ <= last; }
  /// Number of samples with the value 0, 1, 2, ... up to the largest label; other values are not counted.
  const std::vector<int64_t>& counts() const { return counts_; }

 private:
  int64_t samples_ = 0, distinct_ = 0;
  bool whole_ = true;
  double min_ = 0, max_ = 0;
  std::vector<int64_t> counts_;
};

/// The kind of targets with one number per sample. Integers are classes. Floats are classes if they take few
/// different integer values, as MATLAB, R and CSV converters write labels; otherwise values. `task`
/// overrides.
TargetKind kind_of_numbers(const LabelCounts& counts, bool integers, TargetTask task);

/// "classification, 4 classes, cross-entropy", "regression, 3 values, mean squared error". positions: their
/// shape, for a class at each. loss: its name in words; "": the default of the kind.
std::string task_in_words(TargetKind kind, int64_t outputs, const Shape& positions = {},
                          const std::string& loss = "");

}  // namespace lockstep
