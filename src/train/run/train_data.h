#pragma once

#include <memory>

#include "comm/collectives/world.h"
#include "io/dataset/dataset.h"
#include "src/train/run/options.h"

namespace lockstep {

/// The data sets of a run, opened and checked against each other.
struct TrainData {
  std::unique_ptr<Dataset> train, validation, test;

  /// Collective. given: replaces the training data, if not null. Throws Error(data), and
  /// Error(usage) for options that contradict each other.
  TrainData(World& world, const TrainOptions& options, std::unique_ptr<Dataset> given);
};

}  // namespace lockstep
