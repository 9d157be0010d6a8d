#include "launch/run/trained_model.h"

#include <algorithm>
#include <filesystem>
#include <optional>

#include "launch/commands/command_line.h"
#include "launch/config/config_value.h"
#include "launch/config/device_names.h"
#include "launch/config/familiar_values.h"
#include "launch/run/choose_device.h"
#include "launch/run/find_run.h"
#include "src/core/log.h"
#include "src/core/text/suggest.h"
#include "src/train/checkpoint/snapshot.h"
#include "src/train/objective/objective.h"
#include "src/train/run/machine_memory.h"
#include "src/train/run/train_data.h"

namespace lockstep {

LoadedCheckpoint load_trained(const std::string& from, const std::string& what) {
  const std::filesystem::path path = from;
  if (!std::filesystem::exists(path))
    fail(ExitCode::data, "{}: no such file or folder{}", what, run_suggestion(from));
  // A file of a run folder that is not a checkpoint, such as config.toml.
  if (const std::string run = run_suggestion(from);
      path.extension() != ".h5" && is_regular_file(path) && !run.empty())
    fail(ExitCode::data, "{} is not a checkpoint{}", what, run);
  if (path.extension() == ".safetensors")
    fail(ExitCode::data, "{} holds weights alone. Make a checkpoint of it: lockstep model import", what);
  std::optional<LoadedCheckpoint> loaded = load_newest_checkpoint(from);
  if (!loaded) fail(ExitCode::data, "{}: no checkpoint in this folder{}", what, run_suggestion(from));
  return *std::move(loaded);
}

LoadedCheckpoint load_trained(World& world, const std::string& from, const std::string& what) {
  std::optional<LoadedCheckpoint> loaded;
  if (world.rank() == 0) {
    // Rank 0 chooses the checkpoint, and every rank reads it.
    loaded = load_trained(from, what);
  }
  const std::string path = world.broadcast(loaded ? loaded->path : "");
  if (!loaded) loaded = LoadedCheckpoint{path, load_checkpoint(path)};
  return *std::move(loaded);
}

TrainedModel::TrainedModel(World& world, const std::string& from, const std::string& device) {
  LoadedCheckpoint loaded = load_trained(world, from, from);
  path_ = loaded.path;
  config_ = parse_config(loaded.text("config"), path_, "/", {});
  watchdog_.emplace(world, config_.comm.timeout_seconds);
  device_ = choose_device(world, device_named(device));
  model_.emplace(world, device_.exec(), config_, parse_signature(loaded.text("data")),
                 model_factory(config_));
  restore_model(loaded.checkpoint, path_, model_->exec, model_->parameters, config_.optimizer.name,
                /*optimizer=*/nullptr);
  evaluator_.emplace(model_->make_evaluator());
}

bool TrainedModel::is_part(const DataArguments& arguments) const {
  const TrainOptions& options = config_;
  return arguments.data.empty() && (arguments.split == "validation" || arguments.split == "train") &&
         !options.data.validation && options.data.validation_split > 0;
}

namespace {

/// A config with the keys that arguments set.
Config config_of(const TrainedModel::DataArguments& arguments) {
  std::vector<std::string> sets;
  if (!arguments.sample_axis.empty())
    sets = {"data.train.files=other.h5", "data.train.sample_axis=" + arguments.sample_axis};
  if (!arguments.missing.empty()) sets.push_back("data.missing=" + arguments.missing);
  return load_config("", sets);
}

/// Throws Error(data) if samples are not of this shape, but would be if another axis of x counted them.
void require_sample_axis(const Dataset& dataset, const Shape& wanted, const DataSource& source) {
  if (dataset.x_shape() == wanted || source.window > 0) return;
  std::vector<int64_t> axes = extents_of(dataset.x_shape());
  const int given = dataset.understood().sample_axis;
  const int counted_by = given < 0 ? given + static_cast<int>(axes.size()) + 1 : given;
  axes.insert(axes.begin() + counted_by, dataset.size());
  for (int axis = 0; axis < static_cast<int>(axes.size()); ++axis) {
    std::vector<int64_t> others = axes;
    others.erase(others.begin() + axis);
    if (axis == counted_by || !(Shape(others) == wanted)) continue;
    fail(
        ExitCode::data,
        "{}:{} has the shape {}, and its axis {} was taken to count the samples, but the model was built for "
        "samples of {}. Add --sample-axis {} if axis {} counts them.",
        source.files[0], source.x, to_string(Shape(axes)), counted_by, to_string(wanted), axis, axis);
  }
}

}  // namespace

DataSource TrainedModel::source_of(const DataArguments& arguments) const {
  const TrainOptions& options = config_;
  if (!arguments.data.empty()) {
    DataSource source = parse_data_source(arguments.data, arguments.split);
    for (std::string& file : source.files) file = absolute_path(file, "");
    // The samples of other data are cut out of it as those of the run's were.
    source.sample_axis = arguments.sample_axis.empty() ? options.data.train.sample_axis
                                                       : config_of(arguments).data.train.sample_axis;
    source.window = options.data.train.window;
    source.stride = options.data.train.stride;
    source.window_target = options.data.train.window_target;
    return source;
  }
  if (arguments.split == "train" || is_part(arguments)) return options.data.train;
  const std::optional<DataSource>& source =
      arguments.split == "test" ? options.data.test : options.data.validation;
  if (!source)
    fail(ExitCode::usage, "the run has no data.{}. Name the data with --data FILE.h5:/GROUP.",
         arguments.split);
  return *source;
}

std::unique_ptr<Dataset> TrainedModel::open(World& world, const DataArguments& arguments,
                                            bool with_targets) const {
  static const std::vector<std::string> splits{"train", "validation", "test"};
  if (arguments.data.empty() && std::find(splits.begin(), splits.end(), arguments.split) == splits.end())
    fail(ExitCode::usage, "--split {}: unknown split{}", arguments.split,
         suggestion(arguments.split, splits, value_synonyms("--split")));
  const TrainOptions& options = config_;
  // Predictions are those of rank 0 alone; sharing memory is collective.
  std::optional<MachineMemory> machine;
  if (with_targets) machine = machine_memory(world);
  DatasetOptions how{
      .memory_budget = options.data.memory_budget,
      .readers = options.data.threads,
      .task = target_task(options),
      .classes = task().objective().classifies() ? task().objective().outputs() : 0,
      .kind = task().objective().kind(),
      .class_names = task().data().class_names,
      .missing = arguments.missing.empty() ? options.data.missing : config_of(arguments).data.missing,
      .ignored_label = options.train.ignore_label,
      .understood = task().data().understood,
      .context = options.data.context,
      .stride = is_part(arguments) ? options.data.stride : 0,  // to find the same parts again
      .machine = machine ? &*machine : nullptr,
      .places = {places_folder(options.run.dir), /*saves=*/false},
      .probe = world.local_rank() == 0};
  pad_like(how, task().data().x_shape, task().data().y_shape);
  DataSource source = source_of(arguments);
  if (!arguments.x.empty()) source.x = arguments.x;
  if (!arguments.y.empty()) source.y = arguments.y;
  if (!with_targets) source.y.clear();
  std::unique_ptr<Dataset> dataset = open_dataset(source, how);
  if (!arguments.data.empty()) require_sample_axis(*dataset, task().data().x_shape, source);
  task().check_compatible(*dataset, path_);
  if (is_part(arguments)) {
    Split parts = split_dataset(std::move(dataset), options.data.validation_split, options.run.seed);
    return std::move(arguments.split == "train" ? parts.train : parts.validation);
  }
  const bool trained_on = source.files == options.data.train.files && source.x == options.data.train.x;
  if (trained_on && !arguments.data.empty() && !options.data.validation &&
      options.data.validation_split > 0 && world.rank() == 0)
    log_warning(
        "{} was trained on these samples, except those held out by data.validation_split = {}. Use --split "
        "train or --split validation without --data to separate them.",
        path_, options.data.validation_split);
  return dataset;
}

void add_data_options(Command command, TrainedModel::DataArguments& arguments) {
  command.add("--data", arguments.data, "FILE.h5 or FILE.h5:/GROUP; default: the run's own").type("");
  command.add("--split", arguments.split, "train, validation or test (default)").type("");
  command.add("--x", arguments.x, "Name of the samples' data set, if not GROUP/x").type("");
  command
      .add("--sample-axis", arguments.sample_axis,
           "With --data: the axis of its samples that counts them, or last; default: as in training")
      .type("AXIS");
  command
      .add("--missing", arguments.missing,
           "What NaN and missing values are read as; default: data.missing of the training")
      .type("NUMBER");
}

}  // namespace lockstep
