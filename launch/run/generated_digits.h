#pragma once

#include <string>

#include "comm/collectives/world.h"
#include "src/train/run/options.h"

namespace lockstep {

/// If the config names no training data, sets it to generated digits, which are created once per user and
/// kept in the cache folder.
void name_generated_digits(TrainOptions& options, const std::string& cache_folder);

/// Collective. Creates that file if it is the training data and does not exist yet; one rank per machine does
/// so, the others wait. Throws Error(data) if it cannot be written.
void make_generated_digits(const TrainOptions& options, World& world, const std::string& cache_folder);

}  // namespace lockstep
