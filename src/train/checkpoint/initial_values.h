#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "src/graph/parameters.h"

namespace lockstep {

/// The values that a new run has loaded from a checkpoint.
struct InitialValues {
  struct Count {
    int64_t tensors = 0, values = 0;
  };
  std::string path;        ///< of the checkpoint
  Count loaded, left;      ///< parameters
  int64_t statistics = 0;  ///< layers whose running statistics were loaded
  /// Why parameters were not loaded: "fc.weight is (10, 64), in the checkpoint (5, 64)", or "fc.weight is not
  /// in the checkpoint".
  std::vector<std::string> reasons;
};

/// Loads parameters and running statistics that the checkpoint has under the same name and with the same
/// shape; the others stay as they are. Call on every rank with the same checkpoint. Waits. Throws Error(data)
/// that lists the names of both if no parameter matches.
InitialValues initialize_from(const LoadedCheckpoint& from, Exec exec, const Parameters& parameters);

}  // namespace lockstep
