#pragma once

#include <cstdint>
#include <vector>

#include "io/dataset/dataset.h"

namespace lockstep {

/// A model has an output a class, and labels are its outputs' numbers: more classes than this are no classes.
inline constexpr int64_t kMaxClasses = int64_t{1} << 20;

/// What one number a sample says of itself: whether they are whole numbers, and how often each occurs.
class LabelCounts {
 public:
  /// `times` samples of this value, at least one.
  void add(double value, int64_t times = 1);

  int64_t samples() const { return samples_; }
  /// Whether all are finite and without a fraction.
  bool whole() const { return whole_; }
  double min() const { return min_; }
  double max() const { return max_; }
  /// Different values; counted only while they are whole, from 0 to kMaxClasses - 1.
  int64_t distinct() const { return distinct_; }
  /// Whether each is a whole number from 0 to `last`.
  bool labels_up_to(double last) const { return samples_ > 0 && whole_ && min_ >= 0 && max_ <= last; }
  /// Samples of 0, 1, 2, ... up to the largest label; of others nothing.
  const std::vector<int64_t>& counts() const { return counts_; }

 private:
  int64_t samples_ = 0, distinct_ = 0;
  bool whole_ = true;
  double min_ = 0, max_ = 0;
  std::vector<int64_t> counts_;
};

/// What targets of one number a sample are taken for. Integers are classes. Floats are classes when they are
/// whole numbers of few values, as MATLAB, R and CSV converters write labels; else values. `task` overrides.
TargetKind kind_of_numbers(const LabelCounts& counts, bool integers, TargetTask task);

/// "classification, 4 classes, cross-entropy", "regression, 3 values, mean squared error". positions: of
/// classes at each of them. loss: in words; "": what is used unless a config says otherwise.
std::string task_in_words(TargetKind kind, int64_t outputs, const Shape& positions = {},
                          const std::string& loss = "");

}  // namespace lockstep
