#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "comm/collectives/timed_communicator.h"
#include "comm/collectives/world.h"
#include "src/core/thread_pool.h"
#include "src/train/run/evaluator.h"
#include "src/train/run/options.h"
#include "src/train/step/batching.h"
#include "src/train/step/step.h"
#include "src/train/step/task.h"

namespace lockstep {

/// A model and what runs it, ready for values: what evaluation, prediction and training have in common.
struct ModelSetup {
  /// Collective. data: what the model was, or will be, trained on.
  ModelSetup(World& world, Exec exec, const TrainOptions& options, const DataSignature& data,
             const ModelFactory& model);

  /// Over all lanes, which it shares with what trains: one of them computes at a time.
  Evaluator make_evaluator() { return make_evaluator(metrics); }
  Evaluator make_evaluator(const std::vector<Metric>& reported);

  Exec exec;
  Task task;
  std::vector<Metric> metrics;  ///< of evaluation
  Graph graph;
  ThreadPool pool;
  Parameters parameters;  ///< zeros
  int64_t evaluation_batch;
};

/// Everything that a training step works with, assembled from a run's options in the one order in which it
/// depends on each other: for `train`, and for `bench step`, which has no data.
struct TrainingSetup : ModelSetup {
  /// Collective. communicator: takes the place of the one that the options describe, if not null. Parameters
  /// have their initial values. Throws Error(usage) for options that do not fit the model, the data or the
  /// number of ranks.
  TrainingSetup(World& world, Exec exec, const TrainOptions& options, const DataSignature& data,
                const ModelFactory& model, std::unique_ptr<Communicator> communicator = nullptr);

  /// How to come by the optimizer's state; none when each rank has all of it.
  std::optional<SharedState> shared_state() const;
  ReplicaCheck* replica_check() { return replicas ? &*replicas : nullptr; }

  MicroBatchNeeds needs;
  Batching batching;
  TimedCommunicator communicator;
  std::unique_ptr<TimedCommunicator> statistics;  ///< of batch norm, where they need another
  Step::Options step_options;
  std::optional<Sharding> sharding;
  Optimizer optimizer;
  std::vector<uint64_t> optimizer_bytes;  ///< of each rank
  std::optional<ReplicaCheck> replicas;   ///< none: one rank, or switched off
  Step step;
};

/// Bytes that a rank holds in training, without taking them.
struct TrainingMemory {
  int64_t weights = 0;
  int64_t gradients = 0;
  int64_t optimizer = 0;    ///< of one rank that keeps all of it
  int64_t activations = 0;  ///< of one micro-batch
  int64_t micro_batch = 0;  ///< samples
};
/// graph: as the model makes it, before fusion.
TrainingMemory training_memory(const Graph& graph, const TrainOptions& options);

}  // namespace lockstep
