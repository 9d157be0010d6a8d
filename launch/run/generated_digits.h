#pragma once

#include <string>

#include "comm/collectives/world.h"
#include "src/train/run/options.h"

namespace lockstep {

/// Digits that look handwritten, made once for a user and kept in the cache folder: what is trained on when
/// the config names no training data. Changes nothing when it does.
void name_generated_digits(TrainOptions& options, const std::string& cache_folder);

/// Collective. Makes that file if it is the training data and is not there yet; one rank of a machine does,
/// the others wait. Throws Error(data) when it cannot be written.
void make_generated_digits(const TrainOptions& options, World& world, const std::string& cache_folder);

}  // namespace lockstep
