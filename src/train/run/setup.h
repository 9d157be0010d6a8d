#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "comm/collectives/timed_communicator.h"
#include "comm/collectives/world.h"
#include "src/core/thread_pool.h"
#include "src/device/libraries/engine_tuner.h"
#include "src/train/checkpoint/snapshot.h"
#include "src/train/run/evaluator.h"
#include "src/train/run/options.h"
#include "src/train/step/batching.h"
#include "src/train/step/shorter_model.h"
#include "src/train/step/step.h"
#include "src/train/step/task.h"

namespace lockstep {

/// A model and everything needed to run it, except its values. Shared by evaluation, prediction and training.
struct ModelSetup {
  /// Collective. data: describes the data on which the model was, or will be, trained.
  ModelSetup(World& world, Exec exec, const TrainOptions& options, const DataSignature& data,
             const ModelFactory& model);

  /// An evaluator over all lanes. It shares them with training, so only one of the two may compute at a time.
  Evaluator make_evaluator() { return make_evaluator(metrics); }
  Evaluator make_evaluator(const std::vector<Metric>& reported);

  Exec exec;
  Task task;
  std::vector<Metric> metrics;  ///< of evaluation
  Graph graph;
  ThreadPool pool;
  Parameters parameters;  ///< zeros
  int64_t evaluation_batch;
  bool capture;  ///< run.capture
};

/// Everything that a training step needs, built from a run's options in the order of the dependencies. Used
/// by `train` and by `bench step`, which has no data.
struct TrainingSetup : ModelSetup {
  /// Collective. communicator: replaces the one described by the options, if not null. engines: the text of
  /// the tuner of the run that is resumed, if there was one. Parameters have their initial values. Throws
  /// Error(usage) for options that do not fit the model, the data or the number of ranks.
  TrainingSetup(World& world, Exec exec, const TrainOptions& options, const DataSignature& data,
                const ModelFactory& model, std::unique_ptr<Communicator> communicator = nullptr,
                const std::string& engines = "");

  /// How to gather the weights and the optimizer's state; empty if each rank has all of them.
  std::optional<SharedState> shared_state();
  /// Collective. Makes the weights whole on every rank (Parameters). Enqueues.
  void gather_weights();
  ReplicaCheck* replica_check() { return replicas ? &*replicas : nullptr; }

  Graph trained;                      ///< trained_graph()
  std::vector<ShorterModel> shorter;  ///< of data.buckets
  MicroBatchNeeds needs;
  Batching batching;
  TimedCommunicator communicator;
  std::unique_ptr<TimedCommunicator> statistics;  ///< for batch norm, if it needs one of its own
  Step::Options step_options;
  std::optional<Sharding> sharding;
  Optimizer optimizer;
  std::vector<uint64_t> optimizer_bytes;  ///< of each rank, with what sharding takes
  std::optional<ReplicaCheck> replicas;   ///< empty for one rank, or if disabled
  std::unique_ptr<EngineTuner> tuner;     ///< of the step; null without run.autotune
  Step step;
};

}  // namespace lockstep
