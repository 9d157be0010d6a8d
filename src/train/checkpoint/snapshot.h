#pragma once

#include "io/checkpoint/checkpoint.h"
#include "src/device/fence.h"
#include "src/graph/parameters.h"
#include "src/optim/optimizer.h"
#include "src/train/step/sharding.h"

namespace lockstep {

/// A flat buffer of a model's state. Its tensors are named `prefix` + the name of the slot in a checkpoint.
struct ModelSection {
  std::string prefix;  ///< "model/", "optimizer/adam/m/"
  const std::vector<ParameterLayout::Slot>* slots = nullptr;
  std::span<float> flat;
};

/// Weights, running statistics and each state buffer of the optimizer, if not null.
std::vector<ModelSection> model_sections(const Parameters& parameters, const std::string& optimizer_name,
                                         const Optimizer* optimizer);

/// How to gather the weights and the state of a sharded optimizer. Functions called with it are collective.
struct SharedState {
  const Sharding& sharding;
  Parameters& parameters;
  std::span<float> scratch;  ///< as long as the trained weights, in the backend's memory; overwritten
};

/// A copy of a model's values at one moment, including the whole state of the optimizer, in host memory that
/// is allocated once and page-locked on CUDA.
class Snapshot {
 public:
  /// gathered: the optimizer is sharded; its whole state is as long as the trained weights.
  Snapshot(Exec exec, const Parameters& parameters, const std::string& optimizer_name,
           const Optimizer* optimizer, bool gathered);

  size_t bytes() const { return memory_.size(); }

  /// Copies the values. Enqueues and does not wait; work enqueued later may change the values. If the
  /// optimizer is sharded, `shared` is needed and the other ranks must call send_state() at the same time;
  /// the result is the same.
  void take(const SharedState* shared = nullptr);
  /// Waits for the copies and prepares the functions below. Call once after take(), on any thread.
  void finish();
  /// Adds views of the values, valid until the next take(), as logical tensors: "model/NAME" for
  /// parameters, "state/NAME" for running statistics, "optimizer/KIND/STATE/NAME" for each state buffer of
  /// the optimizer. NAME is PyTorch's: "conv1.weight", "norm.running_mean".
  void add_to(Checkpoint& checkpoint) const;
  uint64_t weights_hash() const { return weights_hash_; }
  /// The first parameter or running statistic with a non-finite value; "" if there is none.
  const std::string& not_finite() const { return not_finite_; }

 private:
  struct Section {
    std::string prefix;
    std::vector<ParameterLayout::Slot> slots;  ///< copies, because finish() may outlive the model
    std::span<const float> source;
    std::span<float> values;  ///< in memory_
  };

  Exec exec_;
  bool gathered_;
  std::vector<Section> sections_;
  Buffer memory_;
  Fence taken_;
  uint64_t weights_hash_ = 0;
  std::string not_finite_;
};

/// Called by the other ranks while one calls Snapshot::take() with `shared`.
void send_state(const Optimizer& optimizer, const SharedState& shared);

/// Restores the values of a checkpoint. Call on every rank with the same one. Throws Error(data) naming the
/// tensor if the checkpoint is of another model or optimizer: a tensor is missing, has another shape, or is
/// not used. `path` is for the message.
void restore_model(const Checkpoint& checkpoint, const std::string& path, Exec exec,
                   const Parameters& parameters, const std::string& optimizer_name,
                   const Optimizer* optimizer, const SharedState* shared = nullptr);

}  // namespace lockstep
