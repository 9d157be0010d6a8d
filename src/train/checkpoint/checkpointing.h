#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "comm/collectives/world.h"
#include "src/core/background_task.h"
#include "src/train/checkpoint/run_state.h"
#include "src/train/checkpoint/snapshot.h"
#include "src/train/control/replica_check.h"
#include "src/train/run/options.h"
#include "src/train/run/run_data.h"

namespace lockstep {

/// What a run goes on from.
struct ResumeFrom {
  LoadedCheckpoint loaded;
  bool allow_changed = false;  ///< also with other data or batches than it was stopped with
};

/// A run's checkpoints: when one is due, what is in it, and how a run goes on from it. Rank 0 writes, on a
/// thread of its own: a save takes a snapshot into host memory and returns.
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
    const Dataset* validation = nullptr;  ///< null: none
    std::string data_description;         ///< see to_json(DataSignature)
  };
  /// Takes the memory of a snapshot on rank 0.
  explicit Checkpointing(Parts parts);
  ~Checkpointing();

  /// The run's first step begins: from here on counts checkpoint.every_minutes.
  void start();
  /// Whether every rank saves after so many steps.
  bool due(int64_t position) const;
  /// Whether checkpoint.every_minutes have passed by this rank's clock. All must save at the same step, so it
  /// has to ask the others.
  bool minutes_passed() const;
  /// Seconds that a save may take as long as none was made.
  double expected_seconds() const;
  /// Which files a save writes: the newest of the run, the best by the metric that is watched, or both.
  struct Files {
    bool newest = false, best = false;
  };
  /// Collective. Starts to save, after waiting for the save before. Throws Error on rank 0 when that one
  /// failed: data for a disk that is full, say, and diverged for weights that are not finite, which are never
  /// written.
  void save(const RunState& state, const Files& files);
  /// Throws Error(data) on rank 0 when a save has failed meanwhile. Does not wait.
  void check();
  /// Collective. Returns when the newest checkpoint is of this position and on the disk, for all ranks: only
  /// then may any of them end. Throws as save() does.
  void finish(const RunState& state);

  /// Seconds that the longest save so far took until it was on the disk; 0 as long as there is none, and on
  /// other ranks than 0.
  double longest_seconds() const;
  /// Host memory of a snapshot, which rank 0 has; 0 on others.
  size_t snapshot_bytes() const;

  /// Collective. Puts the model back as it was, on every rank from the same checkpoint. Throws Error(data)
  /// when it is of another model, or of other data or batches and it does not allow that. When it
  /// is, a run goes on at the start of the epoch it was in and watches its metric anew where that was of
  /// other samples.
  RunState restore(const ResumeFrom& from);

 private:
  using Clock = std::chrono::steady_clock;
  struct Writing;

  /// Waits for the save in hand.
  void wait();
  /// The first batch of the epoch that `position` was in when an epoch had `steps_per_epoch`.
  int64_t start_of_epoch(int64_t position, int64_t steps_per_epoch) const;
  /// On rank 0: why best.h5 is not what `state` takes it for; "" if it is.
  std::string wrong_with_best(const RunState& state) const;

  Parts parts_;
  RunData data_;
  std::shared_ptr<Writing> writing_;  ///< on rank 0; also the thread's
  BackgroundTask task_;
  Clock::time_point saved_at_;
  int64_t saved_position_ = -1;  ///< of the newest checkpoint of this process
};

}  // namespace lockstep
