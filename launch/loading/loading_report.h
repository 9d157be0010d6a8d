#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/loading/loader_rates.h"
#include "launch/report/report.h"

namespace lockstep {

/// One read of the files in order, after they were dropped from the page cache.
struct ColdRead {
  std::optional<double> cached_share;  ///< that stayed there nevertheless; none: the system does not say
  double bytes_per_s = 0;
};

/// The result of `lockstep bench loader`.
struct LoadingResult {
  std::string data;   ///< Dataset::describe()
  std::string route;  ///< Dataset::route()
  int64_t rows = 0;
  size_t x_bytes = 0, y_bytes = 0;  ///< of a sample as delivered
  int64_t file_bytes = 0;           ///< of all files
  int ranks = 1;
  int64_t global_batch = 0;
  std::string order;           ///< the value of --shuffle
  std::string order_in_words;  ///< what it means for this data set
  int64_t memory_budget = 0;
  double open_seconds = 0;
  LoadingTimes times;
  CacheUse cache;  ///< after them; of rank 0's machine
  ColdRead cold;
  nlohmann::json h5py;  ///< see time_h5py()
};

/// For people, in at most 80 columns.
void print_loading(const LoadingResult& result);
Json loading_json(const LoadingResult& result);

}  // namespace lockstep
