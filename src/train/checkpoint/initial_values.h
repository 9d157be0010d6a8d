#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "src/graph/parameters.h"

namespace lockstep {

/// What a model took over from a checkpoint before its first step.
struct InitialValues {
  struct Count {
    int64_t tensors = 0, values = 0;
  };
  std::string path;        ///< of the checkpoint
  Count loaded, left;      ///< parameters
  int64_t statistics = 0;  ///< layers whose running statistics were loaded
  /// Why a parameter was left: "fc.weight is (10, 64), there (5, 64)", or "fc.weight is not in it".
  std::vector<std::string> reasons;
};

/// Gives parameters and running statistics the values that a checkpoint has under their names, in the shapes
/// that they have here; everything else stays as it is. Every rank from the same checkpoint. Waits. Throws
/// Error(data) that lists the names of both when not one parameter is in it.
InitialValues initialize_from(const LoadedCheckpoint& from, Exec exec, const Parameters& parameters);

}  // namespace lockstep
