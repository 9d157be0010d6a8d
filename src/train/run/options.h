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

/// automatic: one GPU for each rank if there are enough, else the CPU.
enum class DeviceChoice { automatic, cpu, cuda };

/// Of weights, activations and gradients.
enum class Precision { fp32 };

enum class Layout { channels_last, channels_first };

/// What to do about a step that is not finite.
enum class OnNan { stop, skip };

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

/// Everything that decides the mathematics and the course of a run, in the sections and under the names of
/// the config file: launch/config/options/ binds each key to its field, and the defaults are these.
struct TrainOptions {
  struct Run {
    std::string name = "lockstep";
    std::string dir;  ///< absolute; made if it is not there
    uint64_t seed = 1;
    bool reproducible = false;
    DeviceChoice device = DeviceChoice::automatic;
    Precision precision = Precision::fp32;
    int threads = 0;  ///< CPU threads a rank; 0: the cores of this machine divided by its ranks
    bool capture = true;
    double wall_time_minutes = 0;  ///< this process must end within this time; 0: no limit
  };

  struct Data {
    DataSource train;
    std::optional<DataSource> validation, test;
    double validation_split = 0;  ///< part of train that is held out, when validation is not given
    Normalize normalize;
    TargetTask task = TargetTask::automatic;
    int64_t classes = 0;  ///< 0: as many as the training data has
    Layout layout = Layout::channels_last;
    int64_t memory_budget = int64_t{4} << 30;  ///< of each rank
  };

  struct Optimizer : OptimizerSpec {  // with train.clip_norm, which the optimizer applies
    TuningSpec tuning;                ///< freeze, lr_scale
    bool sharded = false;             ///< shard the optimizer's state over the ranks (Sharding)
  };

  struct Train {
    int64_t epochs = 5;
    int64_t steps = 0;  ///< if above 0, the run ends after this many steps, whatever epochs says
    int64_t global_batch = 128;
    int64_t micro_batch = 0;   ///< 0: chosen (see plan_batches)
    int64_t accumulation = 0;  ///< micro-batches a rank; 0: follows from the other two
    Loss loss = Loss::automatic;
    double label_smoothing = 0;
    ClassWeights class_weights;
    std::optional<int64_t> ignore_label;  ///< a label that does not count; none: all do
    std::vector<double> pos_weight;       ///< one for each label, or one for all; empty: 1
    double huber_delta = 1;
    std::vector<std::string> metrics;  ///< of evaluation; empty: those of the task (objective/metrics.h)
    std::vector<std::string> recompute = {"none"};  ///< which activations: see src/graph/rewrites/recompute.h
    bool sync_batch_norm = false;
    OnNan on_nan = OnNan::stop;
    std::optional<EarlyStopSpec> early_stop;
  };

  struct Checkpoint {
    int64_t every_epochs = 1;  ///< 0 disables
    int64_t every_steps = 0;
    double every_minutes = 0;
    int keep = 3;
    double keep_every_minutes = 0;  ///< of older ones, one per this many minutes is kept; 0: none
  };

  struct Comm {
    int64_t bucket_bytes = 0;  ///< 0: chosen from how long sums take
    Wire gradients = Wire::fp32;
    bool hierarchical = false;
    Transport transport = Transport::automatic;
    int64_t fingerprint_steps = 100;  ///< how often ranks are compared (ReplicaCheck); 0 disables
    double timeout_seconds = 300;     ///< see Watchdog; 0: off
  };

  Run run;
  Data data;
  Optimizer optimizer;
  ScheduleSpec schedule;
  Train train;
  Checkpoint checkpoint;
  Comm comm;
  std::string config_text;  ///< the config in force, stored in checkpoints

  /// What tells which epoch is the best: "validation_loss" or "validation_METRIC".
  std::string watched_metric() const { return train.early_stop.value_or(EarlyStopSpec{}).metric; }

  /// After so many steps in a row that were not finite a run has diverged.
  int32_t max_bad_steps() const { return train.on_nan == OnNan::skip ? 10 : 1; }

  CommunicatorOptions communicator() const {
    return {.reproducible = run.reproducible, .hierarchical = comm.hierarchical, .transport = comm.transport};
  }
};

/// Makes the network once the data's shape is known: input is one sample, channels-last.
using ModelFactory = std::function<Graph(const Shape& input, const NetworkOutput& output)>;

}  // namespace lockstep
