#pragma once

#include <cstdint>

#include "comm/collectives/world.h"
#include "src/train/run/options.h"
#include "src/train/run/setup.h"
#include "src/train/run/train_data.h"

namespace lockstep {

// Checks before a run's first step.

/// Throws Error(usage) or Error(data) if the options, the other data sets or the model do not fit the
/// training data.
void check_options(const TrainOptions& options, const TrainData& data, const TrainingSetup& setup);

/// Collective. Throws Error(lost) if ranks hold different weights. position: number of steps that the run has
/// completed.
void check_same_start(World& world, TrainingSetup& setup, int64_t position);

}  // namespace lockstep
