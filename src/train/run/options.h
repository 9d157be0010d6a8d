#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/communicator.h"
#include "io/dataset/dataset.h"
#include "src/graph/network_output.h"
#include "src/graph/tuning.h"
#include "src/optim/early_stop.h"
#include "src/optim/optimizer.h"
#include "src/optim/schedule.h"

namespace lockstep {

/// How stored values become the network's inputs.
struct Normalize {
  enum class Kind {
    unit,    ///< uint8 / 255; other types as they are
    none,    ///< the number as stored
    moments  ///< unit, then (x - mean) / std for each channel
  };
  Kind kind = Kind::unit;
  std::vector<double> mean, std;  ///< moments: one for each channel, or one for all
};

enum class Loss {
  automatic,
  cross_entropy,
  binary_cross_entropy,
  mean_squared_error,
  mean_absolute_error,
  huber
};

/// What the classes weigh in the loss.
struct ClassWeights {
  enum class Kind {
    none,
    balanced,  ///< targets / (classes that occur * targets of the class), of the training data
    given
  };
  Kind kind = Kind::none;
  std::vector<double> values;  ///< given: one for each class
};

/// Everything that decides the mathematics and the course of a run; launch/config fills it from TOML.
struct TrainOptions {
  // [run]
  std::string run_dir;  ///< absolute; made if it is not there
  uint64_t seed = 1;
  bool reproducible = false;
  int threads = 0;  ///< CPU threads a rank; 0: the cores of this machine divided by its ranks
  bool capture = true;
  double wall_time_minutes = 0;  ///< this process is to have ended after so many; 0: no limit

  // [data]
  DataSource train;
  std::optional<DataSource> validation, test;
  double validation_split = 0;  ///< part of train that is held out, when validation is not given
  Normalize normalize;
  bool channels_first = false;
  TargetTask task = TargetTask::automatic;
  int64_t classes = 0;                       ///< 0: as many as the training data has
  int64_t memory_budget = int64_t{4} << 30;  ///< of each rank

  // [optimizer] [schedule]
  OptimizerSpec optimizer;
  TuningSpec tuning;     ///< freeze, lr_scale
  bool sharded = false;  ///< ranks share out the optimizer's work and memory (Sharding)
  ScheduleSpec schedule;

  // [train]
  int64_t epochs = 5;
  int64_t steps = 0;  ///< when set, the run ends after so many steps and epochs is ignored
  int64_t global_batch = 128;
  std::vector<std::string> recompute = {
      "none"};               ///< which activations: see recompute() in src/graph/rewrites
  int64_t micro_batch = 0;   ///< 0: chosen (see plan_batches)
  int64_t accumulation = 0;  ///< micro-batches a rank; 0: follows from the other two
  double label_smoothing = 0;
  Loss loss = Loss::automatic;
  ClassWeights class_weights;
  std::optional<int64_t> ignore_label;   ///< a label that does not count; none: all do
  std::vector<double> positive_weights;  ///< [train] pos_weight: one for each label, or one for all; empty: 1
  double huber_delta = 1;
  std::vector<std::string>
      metrics;  ///< of evaluation; empty: those of the task (src/train/objective/metrics.h)
  bool sync_batch_norm = false;
  bool skip_bad_steps = false;  ///< [train] on_nan = "skip"
  std::optional<EarlyStopSpec> early_stop;

  // [checkpoint]
  int64_t checkpoint_every_epochs = 1;  ///< 0 disables
  int64_t checkpoint_every_steps = 0;
  double checkpoint_every_minutes = 0;
  int checkpoint_keep = 3;
  double checkpoint_keep_every_minutes = 0;  ///< older ones: one of so many minutes; 0: none

  // [comm]
  int64_t bucket_bytes = 0;  ///< 0: chosen from how long sums take
  Wire gradients = Wire::fp32;
  bool hierarchical = false;
  Transport transport = Transport::automatic;
  int64_t fingerprint_steps = 100;  ///< how often ranks are compared (ReplicaCheck); 0 disables
  double timeout_seconds = 300;     ///< see Watchdog; 0: off

  std::string config_text;  ///< the config in force, stored in checkpoints

  /// What tells which epoch is the best: "validation_loss" or "validation_METRIC".
  std::string watched_metric() const { return early_stop.value_or(EarlyStopSpec{}).metric; }

  /// After so many steps in a row that were not finite a run has diverged.
  int32_t most_bad_steps() const { return skip_bad_steps ? 10 : 1; }

  CommunicatorOptions communicator() const {
    return {.reproducible = reproducible, .hierarchical = hierarchical, .transport = transport};
  }
};

/// Makes the network once the data's shape is known: input is one sample, channels-last.
using ModelFactory = std::function<Graph(const Shape& input, const NetworkOutput& output)>;

}  // namespace lockstep
