#pragma once

#include <optional>
#include <string>

#include "src/device/buffer.h"
#include "src/train/checkpoint/initial_values.h"
#include "src/train/run/options.h"
#include "src/train/run/setup.h"
#include "src/train/run/train_data.h"

namespace lockstep {

/// What a run's header describes.
struct RunFacts {
  const TrainOptions& options;
  const Order& order;  ///< of the training samples
  const TrainData& data;
  const std::optional<SourceFacts>& facts;  ///< of the training data
  const TrainingSetup& setup;
  const std::optional<InitialValues>& initial;  ///< from a checkpoint
  int ranks = 1;
  size_t snapshot_bytes = 0;  ///< memory of rank 0 for checkpoints
  BufferBytes buffers = {};   ///< planned for rank 0, without those of evaluations
  int64_t total_steps = 0, steps_per_epoch = 0;
};

/// The header of a run for the log, one line per subject: data, task, model, all-reduces, checkpoints,
/// memory, batches.
std::string describe_run(const RunFacts& run);

/// "outputs: scores (main, loss x 1), aux (loss x 0.3)"; "" where the loss is that of one output.
std::string describe_outputs(const Graph& graph);

}  // namespace lockstep
