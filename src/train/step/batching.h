#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "src/device/exec.h"
#include "src/graph/graph.h"
#include "src/train/run/options.h"

namespace lockstep {

/// How the global batch is divided.
struct Batching {
  int64_t global_batch = 0;
  int64_t micro_batch = 0;  ///< samples per forward and backward pass
  int micro_batches = 0;    ///< per rank and step

  int64_t rank_batch() const { return micro_batch * micro_batches; }
};

/// A network's requirements on the size of its micro-batches.
struct MicroBatchNeeds {
  /// Samples above which larger micro-batches do not help: on a CPU, those whose activations fit its caches.
  int64_t max_samples = std::numeric_limits<int64_t>::max();
  /// Minimum number of samples for batch norm statistics; 0 without batch norm. On a GPU, where one lane
  /// computes everything, all samples of a rank.
  int64_t statistics_samples = 0;
  /// A layer with one number per channel and sample, for which a single sample has no variance; empty: none.
  std::string vector_norm = {};
};
MicroBatchNeeds micro_batch_needs(Exec exec, const Graph& graph);

/// Divides train.global_batch over the ranks: global_batch = ranks x micro_batches x micro_batch. By default,
/// micro_batch is chosen so that all lanes (CPU threads) have equally many micro-batches of at most about
/// needs.max_samples. In reproducible mode it must not depend on ranks or lanes: it is the largest divisor of
/// global_batch up to 32, and the number of ranks must be a power of two that divides the number of
/// micro-batches. With batch norm it depends on lanes in neither mode: it is the smallest divisor not below
/// needs.statistics_samples (in reproducible mode, not below 32); with sync_batch_norm, one round of the
/// lanes computes all samples. Throws Error(usage) that names numbers that would fit.
Batching plan_batches(const TrainOptions& options, int ranks, int lanes, const MicroBatchNeeds& needs);

/// "statistics over 32 samples": the samples over which batch norm normalizes, for the log; empty without
/// batch norm.
std::string describe_statistics(const Batching& batching, const TrainOptions& options, int ranks, int lanes,
                                const MicroBatchNeeds& needs);

}  // namespace lockstep
