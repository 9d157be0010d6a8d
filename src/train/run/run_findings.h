#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/probe/findings.h"
#include "src/train/run/options.h"
#include "src/train/step/batching.h"
#include "src/train/step/task.h"

namespace lockstep {

/// Two lines of a run's header: the task with the keys that change it, and how samples are read.
std::string describe_task(const TrainOptions& options, const Task& task,
                          const std::optional<SourceFacts>& facts);

/// What is known of the training data and does not look meant.
std::vector<Finding> run_findings(const TrainOptions& options, const std::optional<SourceFacts>& facts,
                                  int64_t samples, const Batching& batching);

}  // namespace lockstep
