#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "src/tensor/shape.h"

namespace lockstep {

/// The channels of the values of a sample: the last axis, or the first one of samples with several axes
/// stored channels-first.
struct Channels {
  size_t count = 1;
  size_t inner = 1;  ///< value i of a sample is of channel (i / inner) % count

  static Channels of(const Shape& sample, bool channels_first);
};

/// Count, mean, sum of squared deviations, smallest and largest value of each channel. Computed in double:
/// those of some values in two passes over them, those of several such pieces as in Chan, Golub and LeVeque
/// (1983). The result depends on the pieces and their order only. Leaves out NaN and infinities.
class ChannelMoments {
 public:
  static constexpr size_t kNumbers = 5;  ///< per channel in write()

  explicit ChannelMoments(size_t channels);

  /// Adds the values of whole samples.
  void add(const std::vector<double>& values, size_t inner);
  /// Adds the moments of other values.
  void add(const ChannelMoments& other);

  void write(double* flat) const;
  void read(const double* flat);

  size_t channels() const { return mean_.size(); }
  /// The number of values.
  int64_t count(size_t channel) const { return static_cast<int64_t>(count_[channel]); }
  double mean(size_t channel) const { return varies(channel) ? mean_[channel] : min_[channel]; }
  /// Of the population; exactly 0 if all values are the same.
  double deviation(size_t channel) const;
  double min(size_t channel) const { return min_[channel]; }
  double max(size_t channel) const { return max_[channel]; }
  /// The moments of the values of all channels together, as those of one.
  ChannelMoments over_all_channels() const;

 private:
  bool varies(size_t channel) const { return min_[channel] < max_[channel]; }
  void add(size_t channel, double count, double mean, double squares, double min, double max);

  std::vector<double> count_, mean_, squares_, min_, max_;
};

}  // namespace lockstep
