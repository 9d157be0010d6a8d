#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/reduce/gradient_reducer.h"
#include "src/graph/parameters.h"
#include "src/optim/optimizer.h"

namespace lockstep {

/// Shards the optimizer's work and memory over the ranks (Rajbhandari et al. 2020, "ZeRO: memory
/// optimizations toward training trillion parameter models", stage 1): each bucket of gradients is
/// reduce-scattered; a rank keeps the optimizer's state of its slice only, updates the weights of that slice,
/// and the weights are all-gathered. Gradients and weights stay whole on every rank.
///
/// Collective: every rank makes the same calls, which enqueue and do not wait.
class Sharding {
 public:
  /// The communicator must outlive everything made here. bucket_bytes: as for gradients (make_buckets()).
  Sharding(Exec exec, Communicator& communicator, const ParameterLayout& layout, int64_t bucket_bytes);

  /// The part that this rank's optimizer updates, and how norms are summed over the ranks.
  OptimizerShare optimizer_share() const;
  /// Buckets of the whole all-reduced buffer: [metrics | sums of running statistics | gradients].
  const std::vector<Bucket>& buckets() const { return buckets_; }

  /// All-gathers the ranks' slices of a buffer laid out like the weights.
  void gather(std::span<float> flat) const;
  /// The same from a state buffer of the optimizer, which holds this rank's slices consecutively.
  void gather(std::span<const float> state, std::span<float> flat) const;
  /// Copies this rank's slices of a whole buffer to a state buffer of the optimizer.
  void take(std::span<const float> flat, std::span<float> state) const;

 private:
  Exec exec_;
  Communicator& communicator_;
  std::vector<Bucket> buckets_;
  std::vector<Bucket> weights_;  ///< the part of each bucket that belongs to the weights
  std::vector<OptimizerShare::Range> mine_;
};

}  // namespace lockstep
