#pragma once

#include <optional>
#include <vector>

#include "io/probe/findings.h"
#include "src/train/run/options.h"
#include "src/train/step/batching.h"

namespace lockstep {

/// What is known of the training data and does not look meant.
std::vector<Finding> run_findings(const TrainOptions& options, const std::optional<SourceFacts>& facts,
                                  int64_t samples, const Batching& batching);

}  // namespace lockstep
