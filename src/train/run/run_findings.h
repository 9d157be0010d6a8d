#pragma once

#include <optional>
#include <vector>

#include "io/probe/findings.h"
#include "src/train/run/options.h"
#include "src/train/step/batching.h"

namespace lockstep {

/// How a run with these options reads its training data.
Reading reading_of(const TrainOptions& options);

/// Properties of the training data, and of batches for it, that are allowed but probably unintended.
std::vector<Finding> run_findings(const TrainOptions& options, const std::optional<SourceFacts>& facts,
                                  int64_t samples, const Batching& batching);

}  // namespace lockstep
