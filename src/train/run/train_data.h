#pragma once

#include <memory>
#include <string>

#include "comm/collectives/world.h"
#include "io/dataset/dataset.h"
#include "io/stage/keep_files.h"
#include "src/train/run/options.h"

namespace lockstep {

/// How data.train of a run is opened, except that no file is probed.
DatasetOptions training_data_options(const TrainOptions& options);

/// The folder in which a run keeps the places of chunks, see hdf5::ChunkMap::keep(); "" without a folder.
std::string places_folder(const std::string& run_dir);

/// The data sets of a run, opened and checked against each other.
struct TrainData {
  std::unique_ptr<KeptFiles> kept;  ///< null unless data.stage_part = "used"
  std::unique_ptr<Dataset> train, validation, test;

  /// Collective. given: replaces the training data, if not null. Throws Error(data), and
  /// Error(usage) for options that contradict each other.
  TrainData(World& world, const TrainOptions& options, std::unique_ptr<Dataset> given);
};

}  // namespace lockstep
