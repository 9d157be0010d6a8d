#pragma once

#include <cstdint>

namespace lockstep {

/// A keyed permutation of [0, n): position -> index in O(1) time and memory, and a bijection for every n.
class Permutation {
 public:
  Permutation(uint64_t key, uint64_t n);
  uint64_t operator()(uint64_t position) const;
  /// The inverse: the position of `index`.
  uint64_t position_of(uint64_t index) const;

 private:
  uint64_t scrambled(uint64_t round, uint64_t half) const;

  uint64_t key_, n_;
  int half_bits_;
};

/// Determines the samples of each step and rank. The order depends only on (seed, epoch), not on the number
/// of ranks: step s of an epoch has positions [s B, (s+1) B) of the epoch's permutation, and each rank takes
/// a contiguous part of them.
class Sampler {
 public:
  Sampler(uint64_t seed, int64_t samples, int64_t global_batch, bool shuffle);

  int64_t samples() const { return samples_; }
  /// Every sample occurs once per epoch; the last step may have fewer samples.
  int64_t steps_per_epoch() const { return (samples_ + global_batch_ - 1) / global_batch_; }
  /// Number of real samples in a step: global_batch, or fewer in the last step of an epoch.
  int64_t valid(int64_t step_in_epoch) const;
  /// The sample in slot [0, global_batch) of a step, or -1 for padding after a short last batch.
  int64_t sample(int64_t epoch, int64_t step_in_epoch, int64_t slot) const;

 private:
  uint64_t seed_;
  int64_t samples_, global_batch_;
  bool shuffle_;
};

}  // namespace lockstep
