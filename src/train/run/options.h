#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/communicator.h"
#include "io/dataset/dataset.h"
#include "io/dataset/order/choose_order.h"
#include "src/graph/network_output.h"
#include "src/graph/tuning.h"
#include "src/optim/early_stop.h"
#include "src/optim/optimizer.h"
#include "src/optim/schedule.h"
#include "src/train/augment/augment_spec.h"

namespace lockstep {

/// How stored values are converted to the network's inputs.
struct Normalize {
  enum class Kind {
    unit,        ///< uint8 / 255; other types as stored
    none,        ///< the number as stored
    moments,     ///< unit, then (x - mean) / std for each channel
    standardize  ///< (x - mean) / std, of the training data (measure_moments())
  };
  Kind kind = Kind::unit;
  std::vector<double> mean, std;  ///< moments: one for each channel, or one for all
};

/// automatic: one GPU for each rank if there are enough, else the CPU.
enum class DeviceChoice { automatic, cpu, cuda };

enum class Layout { channels_last, channels_first };

/// What each machine has in the folder data.stage.
enum class StagePart {
  all,  ///< all files, copied before the run
  used  ///< what its ranks read, from when they first read it
};

/// What to do at a step whose loss or gradient is not finite.
enum class OnNan { stop, skip };

enum class Loss {
  automatic,
  cross_entropy,
  binary_cross_entropy,
  mean_squared_error,
  mean_absolute_error,
  huber
};

/// The weights of the classes in the loss, or their shares of the samples.
struct ClassWeights {
  enum class Kind {
    none,
    balanced,  ///< targets / (classes that occur * targets of the class), of the training data; or equal
               ///< shares
    given
  };
  Kind kind = Kind::none;
  std::vector<double> values;  ///< given: one for each class
};

/// All options of a run, in the sections and under the names of the config file: launch/config/options/ binds
/// each key to its field, and the defaults are these.
struct TrainOptions {
  struct Run {
    std::string name = "lockstep";
    std::string dir;  ///< absolute; created if missing
    uint64_t seed = 1;
    bool reproducible = false;
    DeviceChoice device = DeviceChoice::automatic;
    Precision precision = Precision::fp32;
    int threads = 0;  ///< CPU threads per rank; 0: the cores of this machine divided by its ranks
    bool capture = true;
    bool autotune = false;         ///< time the engines of operations (EngineTuner)
    double wall_time_minutes = 0;  ///< time limit of this process; 0: none
  };

  struct Data {
    DataSource train;
    std::optional<DataSource> validation, test;
    double validation_split = 0;  ///< fraction of train that is held out if validation is not given
    Normalize normalize;
    std::vector<AugmentSpec> augment;  ///< of training samples, in this order (src/train/augment/kinds.h)
    TargetTask task = TargetTask::automatic;
    int64_t classes = 0;  ///< 0: determined from the training data
    int64_t context = 0;  ///< tokens: length of the windows of one long sequence; 0: sequences are rows
    int64_t length = 0;   ///< to which sequences of variable length are padded; 0: that of the longest
    /// Ascending lengths, below that of samples, to which sequences are padded in batches of their own.
    std::vector<int64_t> buckets;
    std::optional<double> missing;  ///< what NaN and missing values are read as; none: an error
    int64_t stride = 0;             ///< tokens: distance of two windows of the training data; 0: context
    Layout layout = Layout::channels_last;
    int64_t memory_budget = int64_t{4} << 30;  ///< bytes per rank
    int threads = 1;    ///< of each rank that read and decode, beside those that compute
    std::string stage;  ///< absolute; folder of each machine in which data is staged; empty: none
    StagePart stage_part = StagePart::all;
    bool gpu_direct = false;               ///< read training samples from the files to the GPU (FileToGpu)
    Shuffle shuffle = Shuffle::automatic;  ///< of the training samples
    ClassWeights sampling;                 ///< the shares of the classes in an epoch; none: as they are
    int64_t shuffle_window = 0;  ///< bytes of samples that Shuffle::window mixes; 0: half of memory_budget
  };

  struct Optimizer : OptimizerSpec {  // with train.clip_norm, which the optimizer applies
    TuningSpec tuning;                ///< freeze, lr_scale
    bool sharded = false;             ///< shard the optimizer's state over the ranks (Sharding)
  };

  struct Train {
    int64_t epochs = 5;
    int64_t steps = 0;  ///< if above 0, the run ends after this many steps, regardless of epochs
    int64_t global_batch = 128;
    int64_t micro_batch = 0;   ///< 0: automatic (see plan_batches)
    int64_t accumulation = 0;  ///< micro-batches per rank and step; 0: derived from the other two
    Loss loss = Loss::automatic;
    double label_smoothing = 0;
    ClassWeights class_weights;
    std::optional<int64_t> ignore_label;  ///< targets with this label are ignored
    std::vector<double> pos_weight;       ///< one for each label, or one for all; empty: 1
    double huber_delta = 1;
    std::vector<std::string>
        metrics;  ///< of evaluation; empty: the defaults of the task (objective/metrics.h)
    std::vector<std::string> recompute = {"none"};  ///< which activations: see src/graph/rewrites/rewrites.h
    bool sync_batch_norm = false;
    OnNan on_nan = OnNan::stop;
    std::optional<EarlyStopSpec> early_stop;
  };

  struct Checkpoint {
    int64_t every_epochs = 1;  ///< 0 disables
    int64_t every_steps = 0;
    double every_minutes = 0;
    int keep = 3;
    double keep_every_minutes = 0;  ///< of older checkpoints, keep one per this many minutes; 0: none
  };

  struct Comm {
    int64_t bucket_bytes = 0;  ///< 0: chosen from measured all-reduce times
    Wire gradients = Wire::fp32;
    bool hierarchical = false;
    Transport transport = Transport::automatic;
    int64_t fingerprint_steps = 100;  ///< steps between comparisons of the ranks (ReplicaCheck); 0 disables
    double timeout_seconds = 300;     ///< see Watchdog; 0 disables
  };

  Run run;
  Data data;
  Optimizer optimizer;
  ScheduleSpec schedule;
  Train train;
  Checkpoint checkpoint;
  Comm comm;
  std::string config_text;  ///< the config in force, stored in checkpoints

  /// The metric that determines the best epoch: "validation_loss" or "validation_METRIC".
  std::string watched_metric() const { return train.early_stop.value_or(EarlyStopSpec{}).metric; }

  /// The number of non-finite steps in a row after which a run has diverged.
  int32_t max_bad_steps() const { return train.on_nan == OnNan::skip ? 10 : 1; }

  CommunicatorOptions communicator() const {
    return {.reproducible = run.reproducible, .hierarchical = comm.hierarchical, .transport = comm.transport};
  }
};

/// Builds the network once the data is known. input: one sample, channels-last.
using ModelFactory = std::function<Graph(const Value& input, const NetworkOutput& output)>;

}  // namespace lockstep
