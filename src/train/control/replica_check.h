#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/collectives/world.h"
#include "src/device/buffer.h"
#include "src/train/checkpoint/snapshot.h"

namespace lockstep {

/// Watches that all ranks hold the same model, to the bit: only then do they train the same one. A rank whose
/// memory, arithmetic or received sums went wrong would go on unnoticed otherwise.
///
/// Every few steps a fingerprint of everything rides on the sum of the loss; its sum over the ranks tells
/// each of them whether all were equal. Only when they were not, tensors are compared one by one.
class ReplicaCheck {
 public:
  /// sections: what every rank holds alike, valid as long as this object. What ranks share out among them is
  /// left out. every_steps > 0.
  ReplicaCheck(Exec exec, std::vector<ModelSection> sections, int64_t every_steps);

  /// Writes what step `step` (from 1) adds to the sum of the loss (kFingerprintFloats, in the backend's
  /// memory): the fingerprint of what the step starts from when it is its turn, zeros otherwise. Enqueues
  /// before the step, outside what is captured; does not wait. Returns whether it was its turn.
  bool enqueue(int64_t step, std::span<float> pieces);

  /// The ranks are known to have been equal after so many steps.
  void agreed_after(int64_t steps) { agreed_after_ = steps; }

  /// Collective. Compares all ranks now, after so many steps, and waits. Calls fail_naming_rank() when they
  /// differ.
  void check(World& world, int64_t steps);

  /// Collective, for ranks that differed after so many steps. Throws Error(lost) that names the ranks, in the
  /// minority if there is one, and the first tensor in the model's order.
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

/// The ranks whose value is not the one that more than half of them have; all when no value is.
std::vector<int> ranks_apart(std::span<const uint64_t> values);

}  // namespace lockstep
