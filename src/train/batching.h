#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/graph/graph.h"
#include "src/train/options.h"

namespace lockstep {

/// How the global batch is cut.
struct Batching {
  int64_t global_batch = 0;
  int64_t micro_batch = 0;  ///< samples computed together
  int micro_batches = 0;    ///< of one rank in one step

  int64_t rank_batch() const { return micro_batch * micro_batches; }
};

/// Cuts options.global_batch over the ranks: global_batch = ranks x micro_batches x micro_batch.
/// In the default mode a missing micro_batch is chosen so that all lanes (CPU threads) have equally many, of
/// at most about `most` samples. In the reproducible mode it may not depend on ranks or lanes: it is the
/// largest divisor of global_batch up to 32, and the number of ranks must be a power of two that divides the
/// number of micro-batches. Throws Error(usage) that says which numbers would fit.
Batching plan_batches(const TrainOptions& options, int ranks, int lanes, int64_t most);

/// How many samples are best computed together at most: on a CPU, those whose activations stay in its caches.
int64_t best_micro_batch(Exec exec, const Graph& graph);

}  // namespace lockstep
