#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "comm/world.h"
#include "src/optim/early_stop.h"
#include "src/train/options.h"
#include "src/train/replica_check.h"
#include "src/train/snapshot.h"

namespace lockstep {

/// A checkpoint to go on from, and where it was read.
struct ResumeFrom {
  std::string path;
  Checkpoint checkpoint;
};

/// Where a run stands, besides the values of its model.
struct RunState {
  int64_t position = 0;       ///< the next batch's number in the run, from 0
  double epoch_loss_sum = 0;  ///< over the samples of the epoch so far
  int64_t epoch_samples = 0;
  EarlyStop::State watched;
};

/// A run's checkpoints: when one is due, what is in it, and how a run goes on from it. Rank 0 writes.
class Checkpointing {
 public:
  struct Parts {
    World& world;
    Exec exec;
    const TrainOptions& options;
    const Parameters& parameters;
    const Optimizer& optimizer;
    std::optional<SharedState> shared;  ///< where ranks share out the optimizer
    ReplicaCheck* replicas = nullptr;   ///< null: nobody watches that the ranks stay equal
    int64_t steps_per_epoch = 0;
    const Dataset& train;
    std::string data_description;  ///< see to_json(DataSignature)
  };
  explicit Checkpointing(Parts parts);

  /// The run's first step begins: from here on counts checkpoint.every_minutes.
  void start();
  /// Whether every rank saves after so many steps.
  bool due(int64_t position) const;
  /// Whether checkpoint.every_minutes have passed by this rank's clock. All must save at the same step, so it
  /// has to ask the others.
  bool minutes_passed() const;
  /// Seconds that a checkpoint may take as long as none was made, and those that the newest took.
  double expected_seconds() const;
  double newest_seconds() const { return newest_seconds_; }
  /// Collective. Saves as the newest checkpoint.
  void save(const RunState& state);
  /// The same, unless the newest one was saved at this position: the last weights are worth keeping even when
  /// no checkpoint was due.
  void save_last(const RunState& state);
  /// Collective. Saves as the best one, by the metric that is watched.
  void save_best(const RunState& state);

  /// Puts the model back as it was, on every rank from the same checkpoint. Throws Error(data) when it is of
  /// another model or other data.
  RunState restore(const ResumeFrom& from);

 private:
  using Clock = std::chrono::steady_clock;

  void write(const std::string& path, const RunState& state);

  Parts parts_;
  Clock::time_point saved_at_;
  double newest_seconds_ = 0;
  int64_t saved_position_ = -1;  ///< of the newest checkpoint of this process
};

}  // namespace lockstep
