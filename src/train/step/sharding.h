#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/reduce/gradient_reducer.h"
#include "src/graph/parameters.h"
#include "src/optim/optimizer.h"

namespace lockstep {

/// How ranks share out the optimizer's work and memory (Rajbhandari et al. 2020, "ZeRO: memory optimizations
/// toward training trillion parameter models", stage 1): of each bucket of gradients a rank gets the sums of
/// one slice, keeps the optimizer's state for that slice alone, updates its weights, and sends them to all.
/// Gradients and weights stay whole on every rank.
///
/// Every rank makes the same calls; they enqueue and do not wait.
class Sharding {
 public:
  /// The communicator outlives what this makes. bucket_bytes: as the gradients' (make_buckets()).
  Sharding(Exec exec, Communicator& communicator, const ParameterLayout& layout, int64_t bucket_bytes);

  /// What this rank's optimizer updates, and how its norms become those of all ranks.
  OptimizerShare optimizer_share() const;
  /// Of all that is summed: [metrics | sums of running statistics | gradients].
  const std::vector<Bucket>& buckets() const { return buckets_; }

  /// Every rank's slices of a buffer laid out like the weights, to all ranks.
  void gather(std::span<float> flat) const;
  /// The same from a state buffer of the optimizer, which holds this rank's slices one after another.
  void gather(std::span<const float> state, std::span<float> flat) const;
  /// This rank's slices of a whole buffer into a state buffer of the optimizer.
  void take(std::span<const float> flat, std::span<float> state) const;

 private:
  Exec exec_;
  Communicator& communicator_;
  std::vector<Bucket> buckets_;
  std::vector<Bucket> weights_;  ///< of each bucket, what lies in the weights
  std::vector<OptimizerShare::Range> mine_;
};

}  // namespace lockstep
