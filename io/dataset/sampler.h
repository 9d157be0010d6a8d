#pragma once

#include <cstdint>

namespace lockstep {

/// A keyed permutation of [0, n): position -> index in O(1) time and memory, and a bijection for every n.
class Permutation {
 public:
  Permutation(uint64_t key, uint64_t n);
  uint64_t operator()(uint64_t position) const;
  /// The inverse: the position that `index` is at.
  uint64_t position_of(uint64_t index) const;

 private:
  uint64_t scrambled(uint64_t round, uint64_t half) const;

  uint64_t key_, n_;
  int half_bits_;
};

/// Which samples a rank sees in a step. The order depends on (seed, epoch) alone, never on the number of
/// ranks: step s of an epoch is always positions [s B, (s+1) B) of its permutation, and each rank takes its
/// contiguous part.
class Sampler {
 public:
  Sampler(uint64_t seed, int64_t samples, int64_t global_batch, bool shuffle);

  int64_t samples() const { return samples_; }
  /// Every sample is seen once an epoch; the last step may be short.
  int64_t steps_per_epoch() const { return (samples_ + global_batch_ - 1) / global_batch_; }
  /// Real samples in a step of the epoch: global_batch but for a short last one.
  int64_t valid(int64_t step_in_epoch) const;
  /// The sample at a slot in [0, global_batch) of a step, or -1 for padding behind a short last batch.
  int64_t sample(int64_t epoch, int64_t step_in_epoch, int64_t slot) const;

 private:
  uint64_t seed_;
  int64_t samples_, global_batch_;
  bool shuffle_;
};

}  // namespace lockstep
