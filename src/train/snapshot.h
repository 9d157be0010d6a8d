#pragma once

#include "io/checkpoint.h"
#include "src/graph/parameters.h"
#include "src/optim/optimizer.h"
#include "src/train/sharding.h"

namespace lockstep {

/// A flat buffer that belongs to a model's state, and what its tensors are called in a checkpoint: `prefix`
/// and the name of the slot.
struct ModelSection {
  std::string prefix;  ///< "model/", "optimizer/adam/m/"
  const std::vector<ParameterLayout::Slot>* slots = nullptr;
  std::span<float> flat;
};

/// Weights, running statistics and each state of the optimizer (null: without).
std::vector<ModelSection> model_sections(const Parameters& parameters, const std::string& optimizer_name,
                                         const Optimizer* optimizer);

/// How to come by the optimizer's state where each rank keeps only a part of it. What is called with it is
/// collective.
struct SharedState {
  const Sharding& sharding;
  std::span<float> scratch;  ///< as long as the weights, in the backend's memory; overwritten
};

/// Adds the model's values to a checkpoint as logical tensors: "model/NAME" for parameters, "state/NAME" for
/// running statistics, "optimizer/KIND/NAME" for each state buffer of the optimizer (null: without). Waits
/// for the device. With `shared` the other ranks call send_state() meanwhile; the checkpoint is the same.
void add_model(Checkpoint& checkpoint, Exec exec, const Parameters& parameters,
               const std::string& optimizer_name, const Optimizer* optimizer,
               const SharedState* shared = nullptr);
void send_state(const Optimizer& optimizer, const SharedState& shared);

/// The reverse, on every rank from the same checkpoint. Throws Error(data) naming the tensor when the
/// checkpoint is of another model (or optimizer): a tensor is missing, is of another shape, or is left over.
/// `path` is for the message.
void restore_model(const Checkpoint& checkpoint, const std::string& path, Exec exec,
                   const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer, const SharedState* shared = nullptr);

}  // namespace lockstep
