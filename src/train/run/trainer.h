#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/probe/findings.h"
#include "src/train/checkpoint/checkpointing.h"
#include "src/train/checkpoint/initial_values.h"
#include "src/train/control/stop_request.h"
#include "src/train/observe/step_clock.h"
#include "src/train/run/events.h"
#include "src/train/run/metric_watch.h"
#include "src/train/run/setup.h"
#include "src/train/run/train_data.h"

namespace lockstep {

/// What a caller gives the trainer in place of what the options describe; null: nothing.
struct TrainerParts {
  std::unique_ptr<Communicator> communicator;
  std::unique_ptr<Dataset> train;
  /// A new run starts from its values: initialize_from().
  std::optional<LoadedCheckpoint> initial = std::nullopt;
};

/// Trains a model from its options to the end: epochs, validation, early stopping, checkpoints, the test.
class Trainer {
 public:
  /// Collective. Opens the data, builds and plans everything; the first step costs nothing extra.
  Trainer(World& world, Exec exec, const TrainOptions& options, const ModelFactory& model,
          const std::optional<ResumeFrom>& resume, TrainerParts parts = {});

  /// Where rank 0 writes, when that was not known yet when the options were made. Before run().
  void set_run_dir(const std::string& folder) { options_.run.dir = folder; }

  /// Collective. Ends early, after a checkpoint, when a rank's `stop` says so: with reason "preempted" on all
  /// of them, and on none before the checkpoint is on disk. Throws Error(diverged) when a step is not
  /// finite, or ten in a row where such steps are skipped: after the end event, and with a diagnosis in the
  /// run folder.
  EndEvent run(const TrainObserver& observer, const StopConditions& stop = {});

  /// Steps that lie behind the run: where a resumed one goes on.
  int64_t position() const { return state_.position; }
  /// What was planned, one line each, for the log: data, model, batches, memory.
  std::string describe() const;
  /// What the user should know of the data before the first step, and of batches that do not fit it. On one
  /// rank.
  std::vector<Finding> findings() const;
  /// What the targets of the data are.
  TargetKind targets() const { return setup_.task.objective().kind(); }

 private:
  using Clock = std::chrono::steady_clock;

  void restore(const ResumeFrom& from);

  // The parts of run(), in the order in which it calls them.
  Loader make_loader() const;
  void start(const TrainObserver& observer, const StopConditions& conditions);
  const Batch& next_batch(Loader& loader) const;
  Requests requests() const;
  void report(const std::optional<StepMetrics>& metrics);
  std::vector<OutputLoss> named(const std::vector<double>& output_losses) const;
  void note_durations();
  bool must_flush(bool save_due) const;
  bool end_epoch(const Loader& loader);
  void save(const Checkpointing::Files& files);
  EndEvent finish(const Loader& loader);

  [[noreturn]] void fail_diverged(const StepMetrics& metrics);
  std::optional<Evaluation> evaluate(const Dataset& dataset);
  EndEvent end_event(const std::string& reason, const std::optional<Evaluation>& test) const;
  template <typename Save>
  void or_say_diverged(const Save& save);
  RunState state() const;
  bool epoch_is_full() const;
  int64_t epoch_of(int64_t position) const { return position / sampler_.steps_per_epoch(); }
  const std::optional<SourceFacts>& facts() const;

  World& world_;
  Exec exec_;
  TrainOptions options_;
  Clock::time_point started_ = Clock::now();
  TrainData data_;
  TrainingSetup setup_;
  std::optional<InitialValues> initial_;  ///< what a checkpoint gave; none: the initializers
  Sampler sampler_;
  int64_t total_steps_;
  Schedule schedule_;
  MetricWatch watch_;
  Checkpointing checkpoints_;
  StepClock clock_;
  std::optional<Evaluator> evaluator_;
  mutable std::optional<std::optional<SourceFacts>>
      facts_;  ///< of the training data; not looked up yet, or none

  // Where the run stands.
  TrainObserver observer_;
  RunState state_;
  StopRequest stop_request_{{}, 0};
  Requests asked_;          ///< by any rank, as far as this one knows
  bool preempted_ = false;  ///< the same on all ranks
  Clock::time_point epoch_started_;
  int64_t saves_ = 0;
  double save_seconds_ = 0;  ///< in which steps stood still for them
};

}  // namespace lockstep
