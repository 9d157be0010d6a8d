#include "src/train/run/start_checks.h"

#include "src/core/error.h"

namespace lockstep {

void check_options(const TrainOptions& options, const TrainData& data, const TrainingSetup& setup) {
  if (data.validation) setup.task.check_compatible(*data.validation, "data.validation");
  if (data.test) setup.task.check_compatible(*data.test, "data.test");
  if (options.train.early_stop && !data.validation)
    fail(ExitCode::usage,
         "train.early_stop watches {}, but there is no validation data. Set data.validation or "
         "data.validation_split.",
         options.train.early_stop->metric);
  if (setup.parameters.layout().parameter_count == 0)
    fail(ExitCode::usage, "the model has no parameters: there is nothing to train.");
}

void check_same_start(World& world, TrainingSetup& setup, int64_t position) {
  if (const auto rank = world.find_different(setup.parameters.weights_hash()))
    fail(ExitCode::lost,
         "rank {} starts from other weights than rank 0. Make sure that all machines run the same version "
         "of Lockstep and read the same checkpoint.",
         *rank);
  if (setup.replicas) setup.replicas->agreed_after(position);
}

}  // namespace lockstep
