#pragma once

#include "src/train/run/evaluator.h"
#include "src/train/run/memory.h"
#include "src/train/run/setup.h"
#include "src/train/run/train_data.h"

namespace lockstep {

/// The memory of a rank: as planned, and what buffers really took.
struct MemoryUse {
  TrainingMemory planned;
  BufferBytes planned_on, allocated;

  /// How far `allocated` is from `planned`, as a fraction of the latter.
  double difference() const;
};

/// The memory that this rank's run was planned to take. evaluator: null if nothing has been evaluated.
TrainingMemory planned_memory(const TrainOptions& options, const TrainingSetup& setup, const TrainData& data,
                              const Evaluator* evaluator, const World& world);

}  // namespace lockstep
