#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "src/device/buffer.h"
#include "src/graph/parameters.h"
#include "src/optim/optimizer.h"
#include "src/train/step/sharding.h"

namespace lockstep {

/// A tensor of which every rank holds the same bits.
struct ReplicatedTensor {
  std::string name;  ///< in a checkpoint: "model/conv1.weight"
  /// With the padding of flat buffers, in the backend's memory. Values of two bytes: two in each float.
  std::span<const float> values;
  int buffer = 0;  ///< a number for the allocation in which they lie
};

/// Weights, running statistics and the optimizer's state, in this order. sharding: null if each rank has all
/// of that. Otherwise no rank has the whole state, and weights that are not replicated are represented by
/// their working copy.
std::vector<ReplicatedTensor> replicated_tensors(const Parameters& parameters,
                                                 const std::string& optimizer_name,
                                                 const Optimizer& optimizer, const Sharding* sharding);

/// Checks that all ranks hold bit-identical models. Without it, a rank whose memory, arithmetic or received
/// data was corrupted would continue unnoticed.
///
/// Every few steps, a fingerprint of everything is all-reduced with the loss; the sum tells every rank
/// whether all were equal. Only if they were not, tensors are compared one by one.
class ReplicaCheck {
 public:
  /// tensors: their values must outlive this object. every_steps > 0.
  ReplicaCheck(Exec exec, std::vector<ReplicatedTensor> tensors, int64_t every_steps);

  /// Writes what step `step` (from 1) adds to the all-reduce of the loss (kFingerprintFloats, in the
  /// backend's memory): in every `every_steps`-th step the fingerprint of the values before the step,
  /// otherwise zeros. Enqueues before the step, outside the captured part; does not wait. Returns whether it
  /// wrote a fingerprint.
  bool enqueue(int64_t step, std::span<float> pieces);

  /// Records that the ranks were equal after `steps` steps.
  void agreed_after(int64_t steps) { agreed_after_ = steps; }

  /// Collective. Compares all ranks now, after `steps` steps, and waits. Calls fail_naming_rank() if they
  /// differ.
  void check(World& world, int64_t steps);

  /// Collective, for ranks that differed after `steps` steps. Throws Error(lost) that names the differing
  /// ranks (the minority, if there is one) and the first tensor that differs.
  [[noreturn]] void fail_naming_rank(World& world, int64_t steps);

 private:
  void add_all(uint64_t* sum);

  Exec exec_;
  std::vector<ReplicatedTensor> tensors_;
  std::vector<std::span<const float>> ranges_;  ///< of the same values, neighbours joined
  int64_t every_steps_;
  int64_t agreed_after_ = 0;
  bool pieces_are_zero_ = false;
  Buffer sum_;
};

/// The ranks that do not have the value of the majority; all of them if no value has a majority.
std::vector<int> ranks_apart(std::span<const uint64_t> values);

}  // namespace lockstep
