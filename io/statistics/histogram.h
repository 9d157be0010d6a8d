#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace lockstep {

/// A histogram of values whose range is not known beforehand: at most kBins bins [b w, (b + 1) w), for
/// integers b and a power of two w. Pairs of bins become one, exactly, when a value lies too far from the
/// others, so the result is the same for the same values in any order and divided in any way.
class Histogram {
 public:
  static constexpr int64_t kBins = 20;

  /// min_exponent: w is at least 2^min_exponent; 0 for integers.
  explicit Histogram(int min_exponent = -200)
      : exponent_(min_exponent), scale_(std::ldexp(1.0, -min_exponent)) {}

  /// Adds a finite value.
  void add(double value) {
    const double bin = std::floor(value * scale_);
    if (bin >= begin_ && bin < end_)
      ++counts_[static_cast<size_t>(static_cast<int64_t>(bin - begin_))];
    else
      add_outside(value);
  }
  /// Adds the values of another histogram of the same min_exponent.
  void add(const Histogram& other);

  /// Number of bins from the first to the last that has a value; 0 if there are no values.
  int64_t bins() const;
  double width() const { return 1 / scale_; }
  /// Where a bin begins, counted from the first that has a value.
  double lower_bound(int64_t bin) const;
  int64_t count(int64_t bin) const { return counts_[first() + static_cast<size_t>(bin)]; }

 private:
  void add_outside(double value);
  /// Lets the window contain bins [low, high] of width 2^exponent, which is not below exponent_.
  void make_room(int exponent, int64_t low, int64_t high);
  /// Indices of the first count that is not 0, and of the one after the last; kBins and 0 if all are 0.
  size_t first() const;
  size_t last() const;

  int exponent_;
  double scale_;                ///< 1 / w
  double begin_ = 0, end_ = 0;  ///< the window: the bins that counts_ holds
  std::array<int64_t, kBins> counts_{};
};

}  // namespace lockstep
