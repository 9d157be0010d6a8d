#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint/checkpoint.h"
#include "io/probe/findings.h"
#include "src/graph/network_output.h"
#include "src/graph/value.h"
#include "src/train/checkpoint/checkpointing.h"
#include "src/train/checkpoint/initial_values.h"
#include "src/train/control/stop_request.h"
#include "src/train/observe/step_clock.h"
#include "src/train/run/events.h"
#include "src/train/run/metric_watch.h"
#include "src/train/run/setup.h"
#include "src/train/run/train_data.h"

namespace lockstep {

/// Returns the weights from which a new run starts, for a model that is built for these samples and targets.
/// Called once on each rank, where it must return the same.
using InitialWeights = std::function<LoadedCheckpoint(const Value& input, const NetworkOutput& output)>;

/// Parts that replace those described by the options, if not null.
struct TrainerParts {
  std::unique_ptr<Communicator> communicator;
  std::unique_ptr<Dataset> train;
  InitialWeights initial = nullptr;  ///< see initialize_from()
};

/// Trains a model as described by options: epochs, validation, early stopping, checkpoints and the test.
class Trainer {
 public:
  /// Collective. Opens the data and builds everything, so that the first step needs no further setup.
  Trainer(World& world, Exec exec, const TrainOptions& options, const ModelFactory& model,
          const std::optional<ResumeFrom>& resume, TrainerParts parts = {});

  /// Sets the folder to which rank 0 writes, if it was not known when the options were made. Call before
  /// run().
  void set_run_dir(const std::string& folder) { options_.run.dir = folder; }

  /// Collective. When any rank's `stop` requests it, all ranks save a checkpoint and end with reason
  /// "preempted", none before the checkpoint is on disk. Throws Error(diverged) after a non-finite step, or
  /// after ten in a row if such steps are skipped; before that, it reports the end event and writes a
  /// diagnosis to the run folder.
  EndEvent run(const TrainObserver& observer, const StopConditions& stop = {});

  /// Number of completed steps, including those before a resume.
  int64_t position() const { return state_.position; }
  /// The header of the run for the log; see describe_run().
  std::string describe() const;
  /// Findings about the data and the batches that the user should see before the first step. Call on one
  /// rank.
  std::vector<Finding> findings() const;
  /// The kind of the data's targets.
  TargetKind targets() const { return setup_.task.objective().kind(); }

 private:
  using Clock = std::chrono::steady_clock;

  void restore(const ResumeFrom& from);

  // The parts of run(), in the order of the calls.
  Loader make_loader() const;
  void start(const TrainObserver& observer, const StopConditions& conditions);
  const Batch& next_batch(Loader& loader) const;
  Requests requests() const;
  void report(const std::optional<StepMetrics>& metrics);
  std::vector<OutputLoss> named(const std::vector<double>& output_losses) const;
  void note_durations();
  void compare_pace(const Loader& loader);
  bool must_flush(bool save_due) const;
  bool end_epoch(const Loader& loader);
  void save(const Checkpointing::Files& files);
  EndEvent finish(const Loader& loader);

  [[noreturn]] void fail_diverged(const StepMetrics& metrics);
  std::optional<Evaluation> evaluate(const Dataset& dataset);
  MemoryUse memory_use() const;
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
  BufferBytes bytes_before_ = buffer_bytes();  ///< of others, such as another run in this process
  TrainData data_;
  TrainingSetup setup_;
  std::optional<InitialValues> initial_;  ///< what was loaded from a checkpoint; empty: nothing
  Order order_;
  Sampler sampler_;
  int64_t total_steps_;
  Schedule schedule_;
  MetricWatch watch_;
  Checkpointing checkpoints_;
  StepClock clock_;
  std::optional<DataPaceMeter> pace_;  ///< on rank 0, of streamed data
  std::optional<Evaluator> evaluator_;
  mutable std::optional<std::optional<SourceFacts>>
      facts_;  ///< of the training data; empty until first needed

  // The state of the run.
  TrainObserver observer_;
  RunState state_;
  StopRequest stop_request_{{}, 0};
  Requests asked_;          ///< requests of all ranks, as far as this one knows
  bool preempted_ = false;  ///< the same on all ranks
  Clock::time_point epoch_started_;
  int64_t saves_ = 0;
  double save_seconds_ = 0;  ///< time for which saves blocked steps
};

}  // namespace lockstep
