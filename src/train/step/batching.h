#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "src/device/exec.h"
#include "src/graph/graph.h"
#include "src/train/run/options.h"

namespace lockstep {

/// How the global batch is cut.
struct Batching {
  int64_t global_batch = 0;
  int64_t micro_batch = 0;  ///< samples computed together
  int micro_batches = 0;    ///< of one rank in one step

  int64_t rank_batch() const { return micro_batch * micro_batches; }
};

/// What a network asks of the size of its micro-batches.
struct MicroBatchNeeds {
  /// Samples that are best computed together at most: on a CPU, those whose activations stay in its caches.
  int64_t max_samples = std::numeric_limits<int64_t>::max();
  /// Samples over which a layer should take its statistics at least; 0 when no layer takes any. On a GPU,
  /// where one lane computes everything, all that a rank has.
  int64_t statistics_samples = 0;
  /// A layer that gets one number a channel from a sample, so that one sample has no variance; empty: none.
  std::string vector_norm = {};
};
MicroBatchNeeds micro_batch_needs(Exec exec, const Graph& graph);

/// Cuts train.global_batch over the ranks: global_batch = ranks x micro_batches x micro_batch.
/// In the default mode a missing micro_batch is chosen so that all lanes (CPU threads) have equally many, of
/// at most about needs.max_samples. In the reproducible mode it may not depend on ranks or lanes: it is the
/// largest divisor of global_batch up to 32, and the number of ranks must be a power of two that divides the
/// number of micro-batches. Where a layer takes statistics over a micro-batch, its size depends on lanes in
/// neither mode: it is the smallest divisor from needs.statistics_samples on (in the reproducible mode from
/// 32 on); with sync_batch_norm one round of the lanes computes all. Throws Error(usage) that says which
/// numbers would fit.
Batching plan_batches(const TrainOptions& options, int ranks, int lanes, const MicroBatchNeeds& needs);

/// "statistics over 32 samples": what batch norm is taken over, for people; empty without batch norm.
std::string describe_statistics(const Batching& batching, const TrainOptions& options, int ranks, int lanes,
                                const MicroBatchNeeds& needs);

}  // namespace lockstep
