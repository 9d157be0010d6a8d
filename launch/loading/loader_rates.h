#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/dataset.h"
#include "io/dataset/order/sampler.h"
#include "launch/measure/statistics.h"

namespace lockstep {

/// What time_loading() measures.
struct LoadingPlan {
  std::vector<int> threads;        ///< of the loader, one measurement each
  int64_t global_batch = 0;        ///< a multiple of the number of ranks
  double seconds = 0;              ///< of loading to time per number of threads
  std::vector<std::string> files;  ///< to read in order, for comparison
};

/// A rate that loading cannot exceed, measured beside it.
struct Limit {
  Spread bytes_per_s;      ///< over the repeats
  double share = 0;        ///< that the loader reached: median over the repeats
  double cpu_seconds = 0;  ///< for the bytes of a sample: median over the repeats
};

/// The rates with one number of threads per rank, of all ranks together. Bytes are those of x and y as
/// delivered, counted once.
struct LoadingRates {
  int threads = 0;
  int64_t samples = 0;             ///< timed
  double first_batch_seconds = 0;  ///< from the start of a loader to its first batch, on the slowest rank
  Spread samples_per_s;            ///< over the repeats
  /// With the same number of threads: copies of memory; reads of the files in stored order; and at random
  /// places, of the size of x, one call each.
  Limit copy, read, scattered;
  double decode_seconds = 0, read_seconds = 0;  ///< per sample: see Loader::Seconds
  double waited = 0;  ///< share of the time in which Loader::next() blocked its caller
};

struct LoadingTimes {
  int64_t repeats = 0;
  std::vector<LoadingRates> rates;
  std::optional<double> cached_share;  ///< of the files in the page cache, after these measurements
  int64_t peak_bytes = 0;              ///< peak memory of the largest rank, without that of the limits
};

/// Loads batches in the sampler's order without using them, in turns with the limits, so that a busy period
/// of the machine affects all of them. Collective.
LoadingTimes time_loading(World& world, const Dataset& dataset, const Sampler& sampler,
                          const LoadingPlan& plan);

/// Bytes of a sample as a Loader delivers it.
size_t x_bytes(const Dataset& dataset);
size_t y_bytes(const Dataset& dataset);

}  // namespace lockstep
