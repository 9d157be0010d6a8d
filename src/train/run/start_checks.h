#pragma once

#include <cstdint>

#include "comm/collectives/world.h"
#include "src/train/run/options.h"
#include "src/train/run/setup.h"
#include "src/train/run/train_data.h"

namespace lockstep {

// What must hold before a run takes a step.

/// Throws Error(usage) or Error(data) when the options, the other data sets or the model do not fit the
/// training data.
void check_options(const TrainOptions& options, const TrainData& data, const TrainingSetup& setup);

/// Collective. Throws Error(lost) when ranks hold different weights. position: the number of steps behind
/// the run.
void check_same_start(World& world, TrainingSetup& setup, int64_t position);

}  // namespace lockstep
