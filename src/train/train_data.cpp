#include "src/train/train_data.h"

#include <utility>

#include "io/probe.h"
#include "src/core/log.h"

namespace lockstep {

namespace {

/// Collective. Throws Error(data) on every rank unless all of them opened the same data.
void check_same_data(World& world, const std::string& key, const Dataset& dataset) {
  constexpr const char* kRemedy =
      "All ranks must read the same files: copy them anew, or name a shared folder.";
  if (const auto rank = world.find_different(static_cast<uint64_t>(dataset.size()))) {
    const std::vector<uint64_t> sizes = world.gather(static_cast<uint64_t>(dataset.size()));
    fail(ExitCode::data, "{}: rank {} sees {} samples where rank 0 sees {}. This rank opened {}. {}", key,
         *rank, sizes[static_cast<size_t>(*rank)], sizes[0], dataset.describe(), kRemedy);
  }
  if (const auto rank = world.find_different(dataset.fingerprint()))
    fail(ExitCode::data, "{}: rank {} sees other samples than rank 0. This rank opened {}. {}", key, *rank,
         dataset.describe(), kRemedy);
}

}  // namespace

TrainData::TrainData(World& world, const TrainOptions& options, std::unique_ptr<Dataset> given) {
  // One rank of a machine looks at the files in a child process; only then do all of them open them.
  if (world.local_rank() == 0) {
    for (const DataSource* source : {&options.train, options.validation ? &*options.validation : nullptr,
                                     options.test ? &*options.test : nullptr})
      if (source != nullptr) {
        for (const std::string& warning : probe_files(source->files, {source->x, source->y})) {
          // The other machines see the same files.
          if (world.rank() == 0) log_warning("{}", warning);
        }
      }
  }
  world.barrier();
  DatasetOptions dataset_options{
      .memory_budget = options.memory_budget, .regression = options.regression, .probe = false};
  std::unique_ptr<Dataset> whole = given ? std::move(given) : open_dataset(options.train, dataset_options);
  if (whole->target_kind() == TargetKind::classes) dataset_options.classes = whole->classes();
  if (options.validation) {
    validation = open_dataset(*options.validation, dataset_options);
  } else if (options.validation_split > 0) {
    Split split = split_dataset(std::move(whole), options.validation_split, options.seed);
    whole = std::move(split.train);
    validation = std::move(split.validation);
  }
  train = std::move(whole);
  if (options.test) test = open_dataset(*options.test, dataset_options);
  check_same_data(world, "data.train", *train);
  if (validation) check_same_data(world, "data.validation", *validation);
  if (test) check_same_data(world, "data.test", *test);
}

}  // namespace lockstep
