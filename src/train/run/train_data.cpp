#include "src/train/run/train_data.h"

#include <utility>

#include "io/dataset/source_files.h"
#include "io/probe/findings.h"
#include "io/probe/probe.h"
#include "src/core/log.h"
#include "src/train/objective/objective.h"
#include "src/train/run/machine_memory.h"
#include "src/train/run/stage_data.h"

namespace lockstep {

namespace {

/// Collective. Throws Error(data) on every rank unless all ranks opened the same data.
void check_same_data(World& world, const std::string& key, const Dataset& dataset) {
  constexpr const char* kRemedy =
      "All ranks must read the same files: copy them again, or use a shared folder.";
  if (const auto rank = world.find_different(static_cast<uint64_t>(dataset.size()))) {
    const std::vector<uint64_t> sizes = world.gather(static_cast<uint64_t>(dataset.size()));
    fail(ExitCode::data, "{}: rank {} sees {} samples where rank 0 sees {}. This rank opened {}. {}", key,
         *rank, sizes[static_cast<size_t>(*rank)], sizes[0], dataset.describe(), kRemedy);
  }
  if (const auto rank = world.find_different(dataset.fingerprint()))
    fail(ExitCode::data, "{}: rank {} sees other samples than rank 0. This rank opened {}. {}", key, *rank,
         dataset.describe(), kRemedy);
}

[[noreturn]] void fail_without_targets(const std::string& key) {
  fail(ExitCode::usage,
       "{0} has no targets to learn from or to compare with: name their data set in {0}.y, for example "
       "\"/train/y\".",
       key);
}

/// Throws Error(data) if the samples are single numbers or have no targets.
void require_inputs_and_targets(const std::string& key, const Dataset& dataset) {
  if (dataset.x_shape().rank() == 0) {
    const std::optional<SourceFacts> facts = dataset.facts();
    fail(ExitCode::data, "{}: {}.", key, single_numbers(facts ? facts->x : "x", dataset.size()));
  }
  if (dataset.target_kind() == TargetKind::none) fail_without_targets(key);
}

}  // namespace

DatasetOptions training_data_options(const TrainOptions& options) {
  return {.memory_budget = options.data.memory_budget,
          .readers = options.data.threads,
          .task = target_task(options),
          .classes = options.data.classes,
          .kind = std::nullopt,
          .x_length = options.data.length,
          .y_length = options.data.length,
          .missing = options.data.missing,
          .ignored_label = options.train.ignore_label,
          .understood = std::nullopt,
          .context = options.data.context,
          .stride = options.data.stride,
          .probe = false};
}

std::string places_folder(const std::string& run_dir) {
  return run_dir.empty() ? "" : run_dir + "/chunk-places";
}

TrainData::TrainData(World& world, const TrainOptions& options, std::unique_ptr<Dataset> given) {
  const TargetTask task = target_task(options);
  // One rank per machine probes the files in a child process before all ranks open them.
  const std::pair<const char*, const DataSource*> sources[] = {
      {"data.train", given ? nullptr : &options.data.train},
      {"data.validation", options.data.validation ? &*options.data.validation : nullptr},
      {"data.test", options.data.test ? &*options.data.test : nullptr}};
  for (const auto& [key, source] : sources) {
    if (source == nullptr) continue;
    if (source->y.empty() && task != TargetTask::tokens) fail_without_targets(key);
    if (world.local_rank() != 0) continue;
    for (const std::string& warning : probe_files(matching_files(source->files), names_read(*source, task))) {
      // Only rank 0 warns, since all machines see the same files.
      if (world.rank() == 0) log_warning("{}", warning);
    }
  }
  world.barrier();
  std::vector<const DataSource*> read;
  for (const auto& [key, source] : sources)
    if (source != nullptr) read.push_back(source);
  const MachineMemory machine = machine_memory(world);
  kept = stage_data(world, options.data, read, task, machine);
  DatasetOptions dataset_options = training_data_options(options);
  dataset_options.machine = &machine;
  dataset_options.places = {places_folder(options.run.dir), /*saves=*/world.rank() == 0};
  std::unique_ptr<Dataset> whole =
      given ? std::move(given) : open_dataset(options.data.train, dataset_options);
  require_inputs_and_targets("data.train", *whole);
  // The other data sets have the kind of the training data, whatever their values look like.
  dataset_options.kind = whole->target_kind();
  dataset_options.classes = whole->classes();
  dataset_options.understood = whole->understood();
  dataset_options.class_names = whole->class_names();
  pad_like(dataset_options, whole->x_shape(), whole->y_shape());
  // Evaluation counts every token once.
  dataset_options.stride = 0;
  if (options.data.validation) {
    validation = open_dataset(*options.data.validation, dataset_options);
  } else if (options.data.validation_split > 0) {
    Split split = split_dataset(std::move(whole), options.data.validation_split, options.run.seed);
    whole = std::move(split.train);
    validation = std::move(split.validation);
  }
  train = std::move(whole);
  if (options.data.test) test = open_dataset(*options.data.test, dataset_options);
  if (validation) require_inputs_and_targets("data.validation", *validation);
  if (test) require_inputs_and_targets("data.test", *test);
  check_same_data(world, "data.train", *train);
  if (validation) check_same_data(world, "data.validation", *validation);
  if (test) check_same_data(world, "data.test", *test);
}

}  // namespace lockstep
