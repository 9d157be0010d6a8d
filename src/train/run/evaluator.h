#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/dataset.h"
#include "src/core/thread_pool.h"
#include "src/device/copy_stream.h"
#include "src/device/replay.h"
#include "src/graph/network.h"
#include "src/train/objective/metrics.h"
#include "src/train/step/micro_batch.h"
#include "src/train/step/task.h"

namespace lockstep {

struct Evaluation {
  int64_t samples = 0;
  double loss = 0;  ///< mean over the targets; see Objective
  struct Value {
    std::string name;
    double value = 0;       ///< NaN where the data does not define it
    bool is_share = false;  ///< a fraction, shown in percent
  };
  std::vector<Value> metrics = {};  ///< in the order of the config

  /// The value of the metric that a run watches: "validation_loss" or "validation_METRIC". NaN if it is
  /// missing.
  double watched(const std::string& name) const;
};

/// Number of threads that read ahead: Dataset::readers(), or if the data is in memory, one, or none where the
/// cores compute.
int loader_threads(const Dataset& dataset, Exec exec);

/// Evaluates a model on a whole data set, in stored order. Every rank takes a part. The result does not
/// depend on the number of ranks or threads: samples are divided into the same micro-batches, whose losses
/// are added in sample order, and metrics are computed from exact sums.
class Evaluator {
 public:
  /// micro_batch must not depend on the number of ranks. capture: on CUDA, the computation of a micro-batch
  /// is replayed as a graph.
  Evaluator(Exec exec, ThreadPool& pool, const Task& task, const Graph& graph, const Parameters& parameters,
            int64_t micro_batch, std::vector<Metric> metrics, bool capture = true);

  /// Collective. Mean loss and metrics on every rank.
  Evaluation evaluate(World& world, const Dataset& dataset);
  /// The same, but asks each rank from time to time whether to stop. Returns nothing if any rank wants to.
  std::optional<Evaluation> evaluate(World& world, const Dataset& dataset,
                                     const std::function<bool()>& wants_to_stop);

  /// Collective. The same, and also returns the tables of the metrics, with those that `also` needs.
  struct Tables {
    Evaluation evaluation;
    MetricTables tables;
  };
  Tables evaluate_with_tables(World& world, const Dataset& dataset, const MetricNeeds& also);

  /// One rank, no collective: calls visit(first sample, outputs) for each micro-batch in order. Outputs
  /// (rows, positions * outputs) are probabilities of classes or labels, or numbers, in host memory; valid
  /// for the call.
  using Visit = std::function<void(int64_t first, ConstTensor outputs)>;
  void predict(const Dataset& dataset, const Visit& visit);

  /// Memory for activations of one lane.
  int64_t lane_bytes() const { return lanes_[0]->network.arena_bytes() + middle_->lane_bytes(); }

 private:
  /// A micro-batch at fixed addresses in the backend's memory, and what computes from it.
  struct Inputs {
    Inputs(Exec exec, const Task& task, int64_t micro_batch, bool capture, std::function<void()> evaluate,
           std::function<void()> predict);
    MicroBatches samples;
    Buffer info, metrics;
    Replay evaluate, predict;
  };
  /// Computes one micro-batch at a time. Not copyable: the replays refer to it.
  struct Lane {
    Lane(Exec exec, const Task& task, const Graph& graph, const Parameters& parameters, int64_t micro_batch,
         const Augmenter& middle, int number, bool capture);
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    MicroBatch batch(size_t set) const;

    Network network;
    Augmenter::Part middle;     ///< of no augmenter, if samples are not cropped
    std::deque<Inputs> inputs;  ///< input_sets(): the next one is copied while one is computed
  };
  /// One lane's micro-batch in a round. In a round, all lanes compute at the same time.
  struct Round {
    const Network& network;
    const Inputs& inputs;
    int64_t micro_batch;  ///< its number in the whole data set
    int64_t local;        ///< its number among those of this rank
  };
  struct Calls {
    Replay Inputs::*computation;
    std::function<void(const Round&)> computed = nullptr;  ///< on each lane, after its computation; enqueues
    std::function<void(const Round&)> in_order = nullptr;  ///< for each lane in order, after a whole round
    std::function<bool()> stops =
        nullptr;  ///< called after every few rounds, after the same ones on all ranks
  };
  /// Visits this rank's micro-batches that contain samples; false if it was stopped.
  bool run(const Dataset& dataset, int rank, int ranks, const Calls& calls);
  /// Whether the loss already counts everything that accuracy needs.
  bool loss_counts_accuracy() const;
  /// One for each lane.
  std::vector<MetricTables> make_tables(const Dataset& dataset, const MetricNeeds& needs) const;
  /// Waits for the outputs.
  void collect(const Round& round, const Dataset& dataset, MetricTables& tables) const;
  std::optional<Evaluation> evaluate(World& world, const Dataset& dataset, const MetricNeeds& needs,
                                     const std::function<bool()>& wants_to_stop,
                                     std::optional<MetricTables>& tables);

  Exec exec_;
  ThreadPool& pool_;
  const Task& task_;
  int64_t micro_batch_;
  std::vector<Metric> metrics_;
  MetricNeeds needs_;
  std::unique_ptr<Augmenter> middle_;  // if training crops samples
  std::vector<std::unique_ptr<Lane>> lanes_;
  CopyStream copies_;
};

}  // namespace lockstep
