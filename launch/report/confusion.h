#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace lockstep {

/// How often a sample of class t was predicted as class p, and the derived metrics.
class Confusion {
 public:
  explicit Confusion(int64_t classes) : classes_(classes), counts_(static_cast<size_t>(classes * classes)) {}

  void add(int64_t target, int64_t predicted) {
    ++counts_[static_cast<size_t>(target * classes_ + predicted)];
  }
  int64_t count(int64_t target, int64_t predicted) const {
    return counts_[static_cast<size_t>(target * classes_ + predicted)];
  }
  int64_t classes() const { return classes_; }

  /// The number of samples of a class, and of predictions of it.
  int64_t samples(int64_t c) const;
  int64_t predictions(int64_t c) const;
  /// The fraction of predictions of the class that are correct; none if it was never predicted.
  std::optional<double> precision(int64_t c) const;
  /// The fraction of samples of the class that were predicted as such; none if it has no samples.
  std::optional<double> recall(int64_t c) const;

 private:
  int64_t classes_;
  std::vector<int64_t> counts_;
};

}  // namespace lockstep
