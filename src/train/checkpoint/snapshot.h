#pragma once

#include "io/checkpoint/checkpoint.h"
#include "src/device/fence.h"
#include "src/graph/parameters.h"
#include "src/optim/optimizer.h"
#include "src/train/step/sharding.h"

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
  std::span<float> scratch;  ///< as long as the trained weights, in the backend's memory; overwritten
};

/// A model's values as they were at one moment, in host memory that is taken once: one rank's copy of all of
/// them, the optimizer's state included. Page-locked on CUDA.
class Snapshot {
 public:
  /// sections: of the model, as long as values are taken. gathered: ranks share out the optimizer, whose
  /// state is as long as the trained weights when it is whole.
  Snapshot(Exec exec, const Parameters& parameters, const std::string& optimizer_name,
           const Optimizer* optimizer, bool gathered);

  size_t bytes() const { return memory_.size(); }

  /// Copies the values. Enqueues and does not wait: what is enqueued later may change them. With `shared` the
  /// other ranks call send_state() meanwhile; the result is the same.
  void take(const SharedState* shared = nullptr);
  /// After take() and once, on any thread: waits for the copies and prepares what follows.
  void finish();
  /// Adds views of the values, which end with the next take(), as logical tensors: "model/NAME" for
  /// parameters, "state/NAME" for running statistics, "optimizer/KIND/STATE/NAME" for each state buffer of
  /// the optimizer. NAME is PyTorch's: "conv1.weight", "norm.running_mean".
  void add_to(Checkpoint& checkpoint) const;
  uint64_t weights_hash() const { return weights_hash_; }
  /// The first parameter or running statistic with a value that is not finite; "" if there is none.
  const std::string& not_finite() const { return not_finite_; }

 private:
  struct Section {
    std::string prefix;
    std::vector<ParameterLayout::Slot> slots;  ///< copies, because finish() may outlive the model
    std::span<const float> source;
    std::span<float> values;  ///< in memory_
  };

  Exec exec_;
  std::vector<Section> sections_;
  Buffer memory_;
  Fence taken_;
  uint64_t weights_hash_ = 0;
  std::string not_finite_;
};

/// What the other ranks do while one calls Snapshot::take() with `shared`.
void send_state(const Optimizer& optimizer, const SharedState& shared);

/// Puts the values of a checkpoint back, on every rank from the same one. Throws Error(data) naming the
/// tensor when the checkpoint is of another model (or optimizer): a tensor is missing, is of another shape,
/// or is left over. `path` is for the message.
void restore_model(const Checkpoint& checkpoint, const std::string& path, Exec exec,
                   const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer, const SharedState* shared = nullptr);

}  // namespace lockstep
