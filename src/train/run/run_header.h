#pragma once

#include <optional>
#include <string>

#include "src/train/checkpoint/initial_values.h"
#include "src/train/run/options.h"
#include "src/train/run/setup.h"
#include "src/train/run/train_data.h"

namespace lockstep {

/// What a run's header tells of.
struct RunFacts {
  const TrainOptions& options;
  const TrainData& data;
  const std::optional<SourceFacts>& facts;  ///< of the training data
  const TrainingSetup& setup;
  const std::optional<InitialValues>& initial;  ///< of a checkpoint
  int ranks = 1;
  size_t snapshot_bytes = 0;  ///< of rank 0's memory, for checkpoints
  int64_t total_steps = 0, steps_per_epoch = 0;
};

/// What was planned, one line each, for the log: data, task, model, sums, checkpoints, batches.
std::string describe_run(const RunFacts& run);

}  // namespace lockstep
