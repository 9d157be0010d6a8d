#pragma once

#include <optional>
#include <string>

#include "comm/cost/scaling_fit.h"

namespace lockstep {

/// GPUs and their connections as described by a TOML file, for predictions beyond this machine.
struct FabricFile {
  Fabric fabric;
  /// The step of one GPU, if the file describes it: a model with that fabric, and the samples per GPU.
  struct Step {
    ScalingModel model;
    int64_t samples = 0;
  };
  std::optional<Step> step;
};

/// Throws Error(usage) with file, line and key, what was expected and the nearest known name.
FabricFile read_fabric_file(const std::string& path);

}  // namespace lockstep
