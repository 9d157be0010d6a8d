#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/world.h"
#include "src/device/buffer.h"
#include "src/train/checkpoint/snapshot.h"

namespace lockstep {

/// Checks that all ranks hold bit-identical models. Without it, a rank whose memory, arithmetic or received
/// data was corrupted would continue unnoticed.
///
/// Every few steps, a fingerprint of everything is all-reduced with the loss; the sum tells every rank
/// whether all were equal. Only if they were not, tensors are compared one by one.
class ReplicaCheck {
 public:
  /// sections: the values that must be equal on all ranks, without sharded ones; they must outlive this
  /// object. every_steps > 0.
  ReplicaCheck(Exec exec, std::vector<ModelSection> sections, int64_t every_steps);

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
  std::vector<ModelSection> sections_;
  int64_t every_steps_;
  int64_t agreed_after_ = 0;
  bool pieces_are_zero_ = false;
  Buffer sum_;
};

/// The ranks that do not have the value of the majority; all of them if no value has a majority.
std::vector<int> ranks_apart(std::span<const uint64_t> values);

}  // namespace lockstep
