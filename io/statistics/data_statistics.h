#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "io/dataset/dataset.h"
#include "io/statistics/channel_moments.h"
#include "io/statistics/histogram.h"

namespace lockstep {

/// Statistics of a column of numbers, by channel.
struct ColumnStatistics {
  explicit ColumnStatistics(size_t channels) : moments(channels) {}

  ChannelMoments moments;             ///< of the finite values
  std::vector<int64_t> not_finite;    ///< NaN and infinities of each channel
  std::vector<Histogram> histograms;  ///< of the finite values of each channel; empty for too many channels
};

struct DataStatistics {
  ColumnStatistics x;
  ColumnStatistics y;                 ///< of no channels if the targets are classes, or if there are none
  std::vector<int64_t> classes = {};  ///< number of targets of each class, if the targets are classes
  int64_t ignored = 0;                ///< targets that are of no class
  /// Number of samples of each length without padding; empty if no sample is padded.
  std::map<int64_t, int64_t> lengths = {};
};

struct StatisticsOptions {
  bool channels_first = false;
  int threads = 1;
  /// Called as bytes of values are read, by one thread at a time.
  std::function<void(int64_t done, int64_t all)> progress = nullptr;
};

/// Reads every sample once. The padding of sequences of variable length does not count. The same bits on any
/// number of threads, and of the mean and deviation of x those that data.normalize = "standardize" uses. NaN
/// and infinities are counted if the data set delivers them (DatasetOptions::finite). Throws Error(data) as
/// reading does.
DataStatistics measure_statistics(const Dataset& dataset, const StatisticsOptions& options);

}  // namespace lockstep
