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

/// Collective. The checkpoint that `from` names, or the newest of a run folder, on every rank. `what` starts
/// messages: `from`, or the key with its value. Throws Error(data) when there is none or it is damaged.
LoadedCheckpoint load_trained(World& world, const std::string& from, const std::string& what);

/// A model out of a checkpoint, ready to answer: what eval and predict share.
class TrainedModel {
 public:
  /// Collective. from: a checkpoint or a run folder, whose newest checkpoint counts. Throws Error(data) when
  /// there is none, it is damaged, or it is of another model.
  TrainedModel(World& world, const std::string& from, const std::string& device);

  const std::string& checkpoint_path() const { return path_; }
  const Config& config() const { return config_; }
  const Task& task() const { return model_->task; }
  Evaluator& evaluator() { return *evaluator_; }

  /// The data of one split: `data` ("FILE.h5" or "FILE.h5:/GROUP") when it is not empty, else what the run's
  /// config names. x and y, when not empty, name the data sets. Throws Error(usage) when there is no such
  /// data, Error(data) when it does not fit the model.
  struct DataArguments {
    std::string data, split = "test", x, y;
  };
  /// Where that data is read from.
  DataSource source_of(const DataArguments& arguments) const;
  std::unique_ptr<Dataset> open(const World& world, const DataArguments& arguments, bool with_targets) const;
  /// Whether the data is one of the two parts into which data.validation_split cuts the training data.
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
