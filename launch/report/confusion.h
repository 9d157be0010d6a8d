#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace lockstep {

/// How often a sample of class t was taken for class p, and what follows from it.
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

  /// Samples of the class, and samples taken for it.
  int64_t samples(int64_t c) const;
  int64_t predictions(int64_t c) const;
  /// Of those taken for the class, the part that is of it; none if nothing was taken for it.
  std::optional<double> precision(int64_t c) const;
  /// Of those of the class, the part that was found; none if there are none.
  std::optional<double> recall(int64_t c) const;

 private:
  int64_t classes_;
  std::vector<int64_t> counts_;
};

}  // namespace lockstep
