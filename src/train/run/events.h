#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/train/observe/data_pace.h"
#include "src/train/run/evaluator.h"
#include "src/train/run/run_memory.h"
#include "src/train/step/step_split.h"

namespace lockstep {

/// The loss of one of several outputs of the network, without its weight.
struct OutputLoss {
  std::string name;  ///< name of its layer
  double loss = 0;
};

struct StepEvent {
  int64_t step = 0, total_steps = 0;               ///< from 1
  int64_t epoch = 0;                               ///< from 1
  int64_t step_in_epoch = 0, steps_per_epoch = 0;  ///< from 1
  double loss = 0, lr = 0, samples_per_s = 0;
  double gradient_norm = 0;  ///< before clipping
  int64_t skipped_in_a_row =
      0;                    ///< number of skipped steps in a row up to this one; 0 if this step was applied
  bool overflowed = false;  ///< the step was skipped, because the scaled loss had gradients beyond fp16
  double loss_scale = 0;    ///< of the next step; 0 unless it is scaled
  std::vector<OutputLoss> output_losses =
      {};  ///< empty unless there are several; their weighted sum is the loss
};

/// How fast streamed data is read, and how fast the model takes it: once, after the first steps of a process.
struct PaceEvent {
  int64_t step = 0;  ///< from 1
  DataPace pace = {};
  std::string text = {};  ///< for the log: a warning if is_held_up()
};

struct EpochEvent {
  int64_t epoch = 0, step = 0;  ///< from 1
  double train_loss = 0;
  std::vector<OutputLoss> output_losses =
      {};  ///< empty unless there are several; their weighted sum is train_loss
  std::optional<Evaluation> validation = std::nullopt;
  int64_t skipped_steps = 0;  ///< of the run so far
  double seconds = 0;         ///< of this epoch
  /// How the time of this epoch's steps was spent; empty if another process computed all of them.
  std::optional<StepReport> steps = std::nullopt;
  std::optional<std::string> straggler = std::nullopt;  ///< which rank slows down the others, if any
};

struct EndEvent {
  std::string reason;  ///< finished, early_stop, preempted, diverged
  std::string cause;   ///< preempted: why, as far as this rank knows, such as "SIGTERM"
  int64_t step = 0;
  std::optional<Evaluation> test = std::nullopt;
  uint64_t weights_hash = 0;
  int64_t skipped_steps = 0;  ///< of the run so far
  double seconds = 0;
  int64_t peak_host_bytes = 0, peak_device_bytes = 0;
  MemoryUse memory = {};    ///< of this rank
  int64_t saves = 0;        ///< number of saves that began between steps
  double save_seconds = 0;  ///< time for which saves blocked this rank's steps
  std::optional<StepReport> steps =
      std::nullopt;  ///< of all steps; empty if there are none, or after a divergence
  std::optional<std::string> straggler = std::nullopt;
};

/// Receives the events of a run, for the progress bar and metrics.jsonl. Called on every rank.
struct TrainObserver {
  std::function<void(const StepEvent&)> on_step;
  std::function<void(const PaceEvent&)> on_pace;  ///< on rank 0
  std::function<void(const EpochEvent&)> on_epoch;
  std::function<void(const EndEvent&)> on_end;
};

}  // namespace lockstep
