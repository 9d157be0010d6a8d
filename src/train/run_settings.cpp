#include "src/train/run_settings.h"

#include <algorithm>
#include <thread>

#include "comm/measure_link.h"

namespace lockstep {

int lanes_of(const TrainOptions& options, Exec exec, World& world) {
  int lanes = static_cast<int>(std::thread::hardware_concurrency()) / world.local_size();
  if (options.threads > 0) lanes = options.threads;
  if (exec.on_cuda()) lanes = 1;
  const std::vector<uint64_t> all = world.gather(static_cast<uint64_t>(std::max(1, lanes)));
  return static_cast<int>(*std::ranges::min_element(all));
}

Step::Options step_options(const TrainOptions& options, World& world, Exec exec, Communicator& communicator,
                           const ParameterLayout& layout) {
  if (options.reproducible && options.gradients != Wire::fp32)
    fail(
        ExitCode::usage,
        "run.reproducible needs comm.gradients = 'fp32': what is rounded on its way depends on the number of "
        "ranks.");
  if (options.reproducible && options.sync_batch_norm)
    fail(
        ExitCode::usage,
        "run.reproducible = true does not go with train.sync_batch_norm = true: which samples are normalized "
        "together depends on the number of ranks and threads. Set one of them to false.");
  Step::Options result{
      .bucket_bytes = options.bucket_bytes, .gradients = options.gradients, .capture = options.capture};
  const auto bytes = layout.reduced_size() * static_cast<int64_t>(sizeof(float));
  if (result.bucket_bytes == 0)
    result.bucket_bytes =
        world.size() == 1 ? bytes : choose_bucket_bytes(measure_sums(world, exec, communicator), bytes);
  return result;
}

std::optional<Sharding> make_sharding(World& world, Exec exec, const TrainOptions& options,
                                      Communicator& communicator, const ParameterLayout& layout,
                                      const Step::Options& settings) {
  if (!options.sharded || world.size() == 1) return std::nullopt;
  return Sharding(exec, communicator, layout, settings.bucket_bytes);
}

int64_t evaluation_batch(const TrainOptions& options) { return std::min<int64_t>(options.global_batch, 64); }

}  // namespace lockstep
