#pragma once

#include "launch/config/config.h"
#include "src/train/run/trainer.h"

namespace lockstep {

/// Collective. What model.init_from names, read on every rank: a checkpoint, the newest one of a run folder,
/// or a file of safetensors, whose names become those of the model. Throws Error(data) if it cannot be read,
/// and the result if a file of safetensors has no tensor of the model.
InitialWeights initial_weights(World& world, const Config& config);

}  // namespace lockstep
