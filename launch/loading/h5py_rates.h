#pragma once

#include <string>
#include <vector>

#include "io/dataset/dataset.h"
#include "src/core/text/json.h"

namespace lockstep {

/// The text of launch/loading/h5py_rates.py, embedded by the build.
extern const char* const kH5pyRates;

/// Reads the first file of a source with h5py, in a process of its own: in order, in random batches and, if
/// this Python has torch, through a DataLoader with each number of workers. Each rate takes about this many
/// seconds. Returns what the script prints, or {"reason": "..."} if this Python cannot do it.
nlohmann::json time_h5py(const std::string& python, const DataSource& source, bool has_targets, int64_t batch,
                         double seconds, const std::vector<int>& workers);

}  // namespace lockstep
