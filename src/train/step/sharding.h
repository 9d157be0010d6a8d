#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "comm/reduce/gradient_reducer.h"
#include "src/device/buffer.h"
#include "src/graph/parameters.h"
#include "src/optim/optimizer.h"

namespace lockstep {

/// Shards the optimizer's work and memory over the ranks (Rajbhandari et al. 2020, "ZeRO: memory
/// optimizations toward training trillion parameter models", stage 1): each bucket of gradients is
/// reduce-scattered; a rank keeps the optimizer's state of its slice only, updates the weights of that slice,
/// and what layers read of the weights is all-gathered. If that is a working copy in two bytes, the fp32
/// weights of a rank are up to date only in its own slices and where layers read them, until
/// gather_weights().
///
/// Collective: every rank makes the same calls, which enqueue and do not wait.
class Sharding {
 public:
  /// The communicator must outlive everything made here. bucket_bytes: as for gradients (make_buckets()).
  Sharding(Exec exec, Communicator& communicator, const ParameterLayout& layout, int64_t bucket_bytes);

  /// The part that this rank's optimizer updates, and how norms are summed over the ranks.
  OptimizerShare optimizer_share() const;
  /// Whether gather_update() sends a working copy and leaves the fp32 weights out of date in part.
  bool gathers_working_copy() const { return working_type_ != DType::f32; }
  /// Buckets of the whole all-reduced buffer: [metrics | sums of running statistics | gradients].
  const std::vector<Bucket>& buckets() const { return buckets_; }

  /// Brings an update of this rank's slices to the other ranks: the fp32 weights, or if there is a working
  /// copy, that and the few fp32 weights that layers read. May be captured, so the caller has to record that
  /// weights are no longer whole.
  void gather_update(const Parameters& parameters) const;
  /// Makes the fp32 weights whole on every rank, if they are not.
  void gather_weights(Parameters& parameters) const;

  /// All-gathers the ranks' slices of a buffer laid out like the weights.
  void gather(std::span<float> flat) const;
  /// The same from a state buffer of the optimizer, which holds this rank's slices consecutively.
  void gather(std::span<const float> state, std::span<float> flat) const;
  /// Copies this rank's slices of a whole buffer to a state buffer of the optimizer.
  void take(std::span<const float> flat, std::span<float> state) const;

  /// Memory in which weights that layers read in fp32 are gathered.
  size_t bytes() const { return packed_.size() + packed_blocks_.size(); }

 private:
  /// The index of a rank's part in a buffer of equal parts that is all-gathered.
  int slot_of(int rank) const;
  /// Lays out packed_.
  void pack_weights_read_as_f32(const ParameterLayout& layout);
  template <typename T>
  void start_gathering(std::span<T> flat) const;

  Exec exec_;
  Communicator& communicator_;
  std::vector<Bucket> buckets_;
  std::vector<Bucket> weights_;  ///< the part of each bucket that belongs to the weights
  std::vector<OptimizerShare::Range> mine_;
  DType working_type_;
  /// Next to a working copy: blocks of the weights that layers read in fp32, in equal parts by rank, and
  /// which block of the weights each one is; -1 where a rank has fewer than others.
  Buffer packed_, packed_blocks_;
};

/// Sharding::bytes() if all ranks had equal parts, without making one.
int64_t sharding_bytes(const ParameterLayout& layout, int ranks);

}  // namespace lockstep
