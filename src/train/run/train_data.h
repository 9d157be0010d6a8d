#pragma once

#include <memory>

#include "comm/collectives/world.h"
#include "io/dataset/dataset.h"
#include "src/train/run/options.h"

namespace lockstep {

/// How data.train of a run is opened, except that no file is probed.
DatasetOptions training_data_options(const TrainOptions& options);

/// The data sets of a run, opened and checked against each other.
struct TrainData {
  std::unique_ptr<Dataset> train, validation, test;

  /// Collective. given: replaces the training data, if not null. Throws Error(data), and
  /// Error(usage) for options that contradict each other.
  TrainData(World& world, const TrainOptions& options, std::unique_ptr<Dataset> given);
};

}  // namespace lockstep
