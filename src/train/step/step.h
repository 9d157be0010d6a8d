#pragma once

#include <atomic>
#include <deque>
#include <optional>
#include <vector>

#include "comm/reduce/gradient_reducer.h"
#include "comm/reduce/round_reducer.h"
#include "io/dataset/loader.h"
#include "src/core/activity.h"
#include "src/core/thread_pool.h"
#include "src/device/fence.h"
#include "src/device/replay.h"
#include "src/device/timestamp.h"
#include "src/graph/network.h"
#include "src/ops/step_guard.h"
#include "src/optim/optimizer.h"
#include "src/train/augment/augmenter.h"
#include "src/train/control/replica_check.h"
#include "src/train/control/requests.h"
#include "src/train/step/batching.h"
#include "src/train/step/micro_batch.h"
#include "src/train/step/sharding.h"
#include "src/train/step/shorter_model.h"
#include "src/train/step/task.h"

namespace lockstep {

/// Measurements of one training step, over the global batch.
struct StepMetrics {
  int64_t step = 0;  ///< its number, from 1
  double loss = 0;   ///< mean over the real samples; with several outputs, their weighted sum
  double correct = 0;
  int64_t samples = 0;
  /// Whether all ranks started the step with the same bits (see ReplicaCheck); empty if this step did not
  /// check.
  std::optional<bool> ranks_agreed = std::nullopt;
  Requests requests = {};    ///< requests of any rank at the start of the step
  double gradient_norm = 0;  ///< before clipping
  /// Whether the loss, the gradients and the statistics of batch norm were all finite. The same on every
  /// rank; if false, the step has changed nothing (see StepGuard).
  bool is_finite = true;
  bool overflowed = false;    ///< not finite because of the scale of the loss, which is now smaller
  LossScale loss_scale = {};  ///< after the step
  /// The loss of each of several outputs (Graph::outputs()), without its weight; empty if there is only one.
  std::vector<double> output_losses = {};
};

/// One optimizer step on the global batch: forward, loss and backward of each micro-batch, gradients summed
/// over micro-batches and all-reduced while backward runs, and one update of the weights.
class Step {
 public:
  struct Parts {
    Exec exec;
    ThreadPool& pool;  ///< each lane computes whole micro-batches; CUDA has one lane
    Communicator& communicator;
    const Task& task;
    const Graph& graph;
    Parameters& parameters;
    Optimizer& optimizer;
    ReplicaCheck* replicas = nullptr;  ///< null: the ranks are not compared
    /// Synchronizes batch norm: its statistics are taken over the micro-batches that all lanes and ranks
    /// compute at the same time, and summed on this communicator (see RoundReducer). Null: over each
    /// micro-batch.
    Communicator* statistics = nullptr;
    const Sharding* sharding = nullptr;  ///< null: every rank updates all weights
    /// For batches of shorter samples than those of `task`, which have the layout of `parameters`.
    std::span<const ShorterModel> shorter = {};
  };
  struct Options {
    int64_t bucket_bytes = int64_t{1} << 20;
    Wire gradients = Wire::fp32;  ///< data type in which they are sent
    bool capture = true;
    int32_t max_bad_steps = 1;  ///< non-finite steps in a row after which no step changes the model
    bool scales_loss = false;   ///< see LossScale
  };
  Step(const Parts& parts, const Batching& batching, const Options& options);

  /// Starts step number `step` (from 1). On CUDA the batch is copied while the previous step computes, and
  /// the call returns when that step is done: the GPU then computes this one, and the batch may be reused.
  /// `requests` are this rank's. timed: whether seconds() will be called; on the CPU it always may. Returns
  /// the metrics of the previous step.
  std::optional<StepMetrics> run(const Batch& batch, int64_t step, double lr, const Requests& requests = {},
                                 bool timed = false);
  /// Waits for the newest step and returns its metrics, once.
  std::optional<StepMetrics> flush();

  /// The time that the newest step, which was timed, took to copy its batch, and in total. On CUDA this waits
  /// for the step and uses the GPU's clock; of the copy it counts what the previous step did not hide.
  struct Seconds {
    double copy = 0, total = 0;
  };
  Seconds seconds();

  /// Sets the number of non-finite steps in a row before the first step, and the scale of the loss, for a
  /// resumed run.
  void resume(int32_t bad_in_a_row, const LossScale& loss_scale);

  /// Memory for activations over all lanes, and for gradients.
  size_t activation_bytes() const;
  size_t gradient_bytes() const { return reduced_.size() + reducer_.bytes(); }
  /// The buckets that are all-reduced in one call each.
  const std::vector<Bucket>& buckets() const { return reducer_.buckets(); }
  const Augmenter& augmenter() const { return sizes_[0].augmenter; }
  /// As long as the trained weights. Between flush() and run() it may be used as scratch memory.
  std::span<float> gradients() const;

 private:
  /// What computes batches of samples of one size.
  struct Size {
    /// whole: computes whole samples, in memory that this size shares with it; null: this one does.
    Size(const Parts& parts, const Batching& batching, const Task& task, const Graph& graph,
         const Size* whole);
    const Task& task;
    std::vector<Network> networks;  ///< one per lane
    Augmenter augmenter;
    std::vector<MicroBatches> batches;  ///< input_sets()
  };
  struct Numbers {
    OptimizerScalars optimizer;
    float requests[ParameterLayout::kRequestFloats];
  };
  /// Steps take turns: while the GPU computes one, the host prepares the next and reads the metrics of the
  /// one before.
  struct Turn {
    Turn(Exec exec, size_t metrics_bytes) : metrics(exec, Memory::pinned, metrics_bytes), done(exec) {}
    Buffer metrics;  ///< the start of the reduced buffer after the step, in host memory
    Fence done;
    std::deque<Replay> replays;  ///< one for each of sizes_
  };

  /// Of sizes_, that of a batch.
  int size_of_batch(const Batch& batch) const;
  /// Copies everything that a step reads to the inputs of this turn, where later work sees it.
  void load(const Batch& batch, int64_t step, double lr, const Requests& requests);
  /// The step itself; runs directly or while being captured.
  void enqueue();
  void compute_share(int lane);
  void compute(int lane, int micro_batch, const JointSum* joint_sum);
  /// Publishes this process's current activity.
  void enter(Phase phase, int64_t number = -1);
  /// Blocks until the GPU is so far, while watching for lost ranks.
  void wait_until(const std::function<bool()>& reached);
  /// Of the step before the newest that these metrics, in host memory, are of.
  std::optional<StepMetrics> take_metrics(std::span<float> metrics);
  /// The pieces of a fingerprint, and the requests, in a copy of the metrics or in a reduced buffer.
  std::span<float> pieces_in(std::span<float> metrics) const;
  std::span<float> requests_in(std::span<float> metrics) const;
  static Numbers& numbers_in(const Buffer& buffer) { return *reinterpret_cast<Numbers*>(buffer.data()); }
  static MicroBatchInfo* infos_in(const Buffer& buffer) {
    static_assert(sizeof(Numbers) % alignof(MicroBatchInfo) == 0);
    return reinterpret_cast<MicroBatchInfo*>(buffer.data() + sizeof(Numbers));
  }
  int input_set() const { return turn_ % static_cast<int>(numbers_.size()); }
  /// Of the inputs of this turn: Numbers and, behind them, the MicroBatchInfo of each micro-batch.
  const Buffer& numbers() const { return numbers_[static_cast<size_t>(input_set())]; }
  Size& size() { return sizes_[static_cast<size_t>(size_)]; }
  StepVerdict* verdict_in(std::span<float> metrics) const;
  std::vector<double> output_losses_in(std::span<const float> metrics) const;

  Parts parts_;
  Batching batching_;
  int32_t max_bad_steps_;
  bool scales_loss_;
  std::deque<Size> sizes_;  // of whole samples, and of Parts::shorter
  int size_ = 0;            // of the newest step
  Buffer reduced_;          // see ParameterLayout
  GradientReducer reducer_;
  std::optional<RoundReducer> statistics_;
  std::vector<int> bucket_of_node_;  // the bucket that a layer's gradients complete; -1: none

  // What a step reads is at fixed addresses in the backend's memory, so that it can be replayed: in
  // Size::batches, and here.
  std::vector<Buffer> numbers_;  // input_sets()
  Buffer guard_;
  Buffer host_numbers_;  // page-locked; like numbers()
  CopyStream copies_;
  Timestamp started_, has_batch_, done_;  // of the newest step
  std::deque<Turn> turns_;                // two
  int turn_ = 0;                          // of the newest step
  std::atomic<int> next_micro_batch_ = 0;
  std::optional<StepMetrics> pending_;  // started, not yet read back
};

}  // namespace lockstep
