#pragma once

#include <optional>
#include <vector>

#include "io/probe/findings.h"
#include "src/train/run/options.h"
#include "src/train/step/batching.h"

namespace lockstep {

/// Properties of the training data, and of batches for it, that are allowed but probably unintended.
std::vector<Finding> run_findings(const TrainOptions& options, const std::optional<SourceFacts>& facts,
                                  int64_t samples, const Batching& batching);

}  // namespace lockstep
