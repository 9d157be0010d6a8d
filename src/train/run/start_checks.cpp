#include "src/train/run/start_checks.h"

#include "src/core/error.h"
#include "src/device/libraries/cufile.h"

namespace lockstep {

namespace {

/// Throws Error(usage) if data.gpu_direct cannot be done.
void check_gpu_direct(const TrainData& data, Exec exec) {
  if (!exec.on_cuda())
    fail(ExitCode::usage, "data.gpu_direct = true needs a GPU, and this run is on the CPU. Remove it.");
  if (data.kept)
    fail(ExitCode::usage,
         "data.gpu_direct = true reads past the host, which data.stage_part = \"used\" needs to keep what is "
         "read. Set data.stage_part = \"all\", or remove one of them.");
  const Dataset& train = *data.train;
  if (train.stored_runs().empty())
    fail(ExitCode::usage,
         "data.gpu_direct = true needs samples that are streamed from contiguous data sets, stored as they "
         "are used. Those of data.train are {}. Remove it, or see docs/config.md.",
         train.in_memory() ? "held in memory: data.memory_budget is larger"
         : train.route().empty() || train.route() == "contiguous"
             ? "a part of a data set, or windows of it"
             : fmt::format("read by the route '{}'", train.route()));
  const FileToGpu works(exec);
}

}  // namespace

void check_options(const TrainOptions& options, const TrainData& data, const TrainingSetup& setup) {
  if (data.validation) setup.task.check_compatible(*data.validation, "data.validation");
  if (data.test) setup.task.check_compatible(*data.test, "data.test");
  if (options.train.early_stop && !data.validation)
    fail(ExitCode::usage,
         "train.early_stop watches {}, but there is no validation data. Set data.validation or "
         "data.validation_split.",
         options.train.early_stop->metric);
  if (options.data.gpu_direct) check_gpu_direct(data, setup.exec);
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
