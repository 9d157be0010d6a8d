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

/// The checkpoint from which a run resumes.
struct ResumeFrom {
  LoadedCheckpoint loaded;
  bool allow_changed = false;  ///< accept data or batches that differ from the checkpoint's
};

/// The name in a checkpoint of EngineTuner::text(), if engines were tuned.
inline constexpr const char* kEnginesOfCheckpoint = "engines";

/// A run's checkpoints: when they are due, what they contain, and how to resume from them. A save takes a
/// snapshot in host memory and returns; a thread of rank 0 writes it.
class Checkpointing {
 public:
  struct Parts {
    World& world;
    Exec exec;
    const TrainOptions& options;
    const Parameters& parameters;
    const Optimizer& optimizer;
    std::optional<SharedState> shared;  ///< if the optimizer is sharded
    ReplicaCheck* replicas = nullptr;   ///< null: the ranks are not compared
    int64_t steps_per_epoch = 0;
    const Order& order;  ///< of the training samples
    const Dataset& train;
    const Dataset* validation = nullptr;  ///< null: none
    std::string data_description;         ///< see to_json(DataSignature)
    std::string engines = "";             ///< EngineTuner::text(); "": they were not tuned
  };
  /// Allocates the memory of a snapshot on rank 0.
  explicit Checkpointing(Parts parts);
  ~Checkpointing();

  /// Called when the run's first step begins, from which checkpoint.every_minutes counts.
  void start();
  /// Whether all ranks save after `position` steps.
  bool due(int64_t position) const;
  /// Whether checkpoint.every_minutes have passed by this rank's clock. All ranks must save at the same step,
  /// so the caller has to request it from the others.
  bool minutes_passed() const;
  /// Seconds that a save is expected to take before any was made.
  double expected_seconds() const;
  /// The files that a save writes: the newest of the run, the best by the watched metric, or both.
  struct Files {
    bool newest = false, best = false;
  };
  /// Collective. Waits for the previous save and starts another. Throws Error on rank 0 if the previous one
  /// failed: data, for example for a full disk, or diverged for non-finite weights, which are never written.
  void save(const RunState& state, const Files& files);
  /// Throws Error(data) on rank 0 if a save has failed. Does not wait.
  void check();
  /// Collective. Makes sure that the newest checkpoint has this position and waits until it is on disk; no
  /// rank may end before that. Throws like save().
  void finish(const RunState& state);

  /// Seconds that the longest save so far took to reach the disk; 0 before the first, and on ranks other than
  /// 0.
  double longest_seconds() const;
  /// Host memory of the snapshot on rank 0; 0 on other ranks.
  size_t snapshot_bytes() const;

  /// Collective. Restores the model on every rank from the same checkpoint. Throws Error(data) if the
  /// checkpoint is of another model, or if data or batches differ and `from` does not allow that. If they
  /// differ, the run resumes at the start of its epoch, and if the validation samples differ, the best epoch
  /// is determined anew.
  RunState restore(const ResumeFrom& from);

 private:
  using Clock = std::chrono::steady_clock;
  struct Writing;

  /// Waits for the current save.
  void wait();
  /// The first batch of the epoch that contained `position` when an epoch had `steps_per_epoch` steps.
  int64_t start_of_epoch(int64_t position, int64_t steps_per_epoch) const;
  /// On rank 0: why best.h5 does not match `state`; "" if it does.
  std::string wrong_with_best(const RunState& state) const;

  Parts parts_;
  RunData data_;
  std::shared_ptr<Writing> writing_;  ///< on rank 0; shared with the thread
  BackgroundTask task_;
  Clock::time_point saved_at_;
  int64_t saved_position_ = -1;  ///< of the newest checkpoint of this process
};

}  // namespace lockstep
