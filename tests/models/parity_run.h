#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/device/exec.h"
#include "tests/models/golden.h"

namespace lockstep {

/// What Lockstep computes where PyTorch computed a golden case: tensors under the names of its entries, all
/// but "x", "y" and those that start with "start", and the loss of each step.
struct ParityRun {
  std::map<std::string, std::vector<float>> values;
  std::vector<double> losses;
};

/// Builds the model, loads its initial values by name, computes one micro-batch and takes three steps. Throws
/// Error if the model cannot be built, or if it does not have exactly these parameters and statistics.
ParityRun run_golden(Exec exec, const Golden& golden);

}  // namespace lockstep
