#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "comm/world.h"
#include "io/checkpoint.h"
#include "src/train/evaluator.h"
#include "src/train/options.h"
#include "src/train/step.h"
#include "src/train/step_split.h"

namespace lockstep {

struct StepEvent {
  int64_t step = 0, total_steps = 0;               ///< from 1
  int64_t epoch = 0;                               ///< from 1
  int64_t step_in_epoch = 0, steps_per_epoch = 0;  ///< from 1
  double loss = 0, lr = 0, samples_per_s = 0;
};

struct EpochEvent {
  int64_t epoch = 0, step = 0;  ///< from 1
  double train_loss = 0;
  std::optional<Evaluation> validation = std::nullopt;
  bool classifies = true;
  double seconds = 0;                                   ///< of this epoch
  StepReport steps;                                     ///< where the time of this epoch's steps went
  std::optional<std::string> straggler = std::nullopt;  ///< who holds up the others, if anybody does
};

struct EndEvent {
  std::string reason;  ///< finished, early_stop, diverged
  int64_t step = 0;
  std::optional<Evaluation> test = std::nullopt;
  bool classifies = true;
  uint64_t weights_hash = 0;
  double seconds = 0;
  int64_t peak_host_bytes = 0, peak_device_bytes = 0;
  std::optional<StepReport> steps = std::nullopt;  ///< of all steps; none without one, or when diverged
  std::optional<std::string> straggler = std::nullopt;
};

/// Who wants to know how a run goes: the progress bar and metrics.jsonl. Called on every rank.
struct TrainObserver {
  std::function<void(const StepEvent&)> on_step;
  std::function<void(const EpochEvent&)> on_epoch;
  std::function<void(const EndEvent&)> on_end;
};

/// A checkpoint to go on from, and where it was read.
struct ResumeFrom {
  std::string path;
  Checkpoint checkpoint;
};

/// What a caller gives the trainer in place of what the options describe; null: nothing.
struct TrainerParts {
  std::unique_ptr<Communicator> communicator;
  std::unique_ptr<Dataset> train;
};

/// Trains a model from its options to the end: epochs, validation, early stopping, checkpoints, the test.
class Trainer {
 public:
  /// Collective. Opens the data, builds and plans everything; the first step costs nothing extra.
  Trainer(World& world, Exec exec, const TrainOptions& options, const ModelFactory& model,
          const std::optional<ResumeFrom>& resume, TrainerParts parts = {});
  ~Trainer();

  /// Collective. Throws Error(diverged) when the loss is not finite, after the end event.
  EndEvent run(const TrainObserver& observer);

  /// What was planned, one line each, for the log: data, model, batches, memory.
  std::string describe() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// CPU threads of a rank: run.threads, or this machine's cores shared out to its ranks; one on CUDA.
/// Collective. The same on every rank, namely the fewest: who evaluates which samples follows from it.
int lanes_of(const TrainOptions& options, Exec exec, World& world);

/// How this run's steps sum gradients. Collective; measures the ranks' connection when the size of buckets is
/// to be chosen. Throws Error(usage) for keys that contradict each other.
Step::Options step_options(const TrainOptions& options, World& world, Exec exec, Communicator& communicator,
                           const ParameterLayout& layout);

/// How this run's ranks share out the optimizer; none when they do not.
std::optional<Sharding> make_sharding(World& world, Exec exec, const TrainOptions& options,
                                      Communicator& communicator, const ParameterLayout& layout,
                                      const Step::Options& settings);

/// Micro-batch of evaluation: the same for any number of ranks.
int64_t evaluation_batch(const TrainOptions& options);

}  // namespace lockstep
