#pragma once

#include "io/checkpoint.h"
#include "src/graph/parameters.h"
#include "src/optim/optimizer.h"

namespace lockstep {

/// Adds the model's values to a checkpoint as logical tensors: "model/NAME" for parameters, "state/NAME" for
/// running statistics, "optimizer/KIND/NAME" for each state buffer of the optimizer (null: without). Waits
/// for the device.
void add_model(Checkpoint& checkpoint, Exec exec, const Parameters& parameters,
               const std::string& optimizer_name, const Optimizer* optimizer);

/// The reverse. Throws Error(data) naming the tensor when the checkpoint is of another model (or optimizer):
/// a tensor is missing, is of another shape, or is left over. `path` is for the message.
void restore_model(const Checkpoint& checkpoint, const std::string& path, Exec exec,
                   const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer);

}  // namespace lockstep
