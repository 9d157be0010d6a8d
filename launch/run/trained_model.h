#pragma once

#include <memory>
#include <optional>
#include <string>

#include "comm/watch/watchdog.h"
#include "io/checkpoint/checkpoint.h"
#include "launch/config/config.h"
#include "src/device/device.h"
#include "src/train/run/setup.h"

namespace lockstep {

class Command;

/// Collective. Loads the checkpoint `from`, or the newest one of the run folder `from`, on every rank.
/// Messages begin with `what`: `from`, or the key with its value. Throws Error(data) if there is none or it
/// is damaged.
LoadedCheckpoint load_trained(World& world, const std::string& from, const std::string& what);

/// The same on this rank alone.
LoadedCheckpoint load_trained(const std::string& from, const std::string& what);

/// A model loaded from a checkpoint for inference, used by eval and predict.
class TrainedModel {
 public:
  /// Collective. from: a checkpoint, or a run folder, whose newest checkpoint is used. Throws Error(data) if
  /// there is none, or if it is damaged or of another model.
  TrainedModel(World& world, const std::string& from, const std::string& device);

  const std::string& checkpoint_path() const { return path_; }
  const Config& config() const { return config_; }
  const Task& task() const { return model_->task; }
  Evaluator& evaluator() { return *evaluator_; }

  /// The data of one split: `data` ("FILE.h5" or "FILE.h5:/GROUP") if not empty, else that of the run's
  /// config. x and y, if not empty, name the data sets. open() throws Error(usage) if there is no such data,
  /// Error(data) if it does not fit the model.
  struct DataArguments {
    std::string data, split = "test", x, y;
    std::string sample_axis, missing;  ///< as data.train.sample_axis and data.missing; "": as in training
  };
  /// The source of that data.
  DataSource source_of(const DataArguments& arguments) const;
  /// with_targets: collective; without, each rank opens the data for itself.
  std::unique_ptr<Dataset> open(World& world, const DataArguments& arguments, bool with_targets) const;
  /// Whether the data is one of the two parts into which data.validation_split divides the training data.
  bool is_part(const DataArguments& arguments) const;

 private:
  std::string path_;
  Config config_;
  std::optional<Watchdog> watchdog_;
  Device device_;
  std::optional<ModelSetup> model_;
  std::optional<Evaluator> evaluator_;
};

/// The options of TrainedModel::DataArguments, for a subcommand.
void add_data_options(Command command, TrainedModel::DataArguments& arguments);

}  // namespace lockstep
