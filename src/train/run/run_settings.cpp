#include "src/train/run/run_settings.h"

#include <unistd.h>

#include <algorithm>
#include <span>
#include <utility>

#include "comm/cost/measure_link.h"
#include "src/core/cores.h"
#include "src/core/counted.h"
#include "src/core/hash.h"
#include "src/graph/rewrites/rewrites.h"

namespace lockstep {

int fair_share_of_cores(World& world) {
  const std::vector<int> cores = usable_cores();
  char machine[256] = {};
  gethostname(machine, sizeof machine - 1);
  const uint64_t own = hash_name(machine) ^ hash_bytes(std::as_bytes(std::span(cores)));
  const std::vector<uint64_t> all = world.gather(own);
  // The local size limits the count: other machines may have cores with the same numbers.
  const auto sharing = std::min<int64_t>(std::ranges::count(all, own), world.local_size());
  return static_cast<int>(static_cast<int64_t>(cores.size()) / sharing);
}

int lanes_of(const TrainOptions& options, Exec exec, World& world) {
  int lanes = fair_share_of_cores(world);
  if (options.run.threads > 0) lanes = options.run.threads;
  if (exec.on_cuda()) lanes = 1;
  const std::vector<uint64_t> all = world.gather(static_cast<uint64_t>(std::max(1, lanes)));
  return static_cast<int>(*std::ranges::min_element(all));
}

Step::Options step_options(const TrainOptions& options, World& world, Exec exec, Communicator& communicator,
                           const ParameterLayout& layout) {
  if (options.run.reproducible && options.comm.gradients != Wire::fp32)
    fail(ExitCode::usage,
         "run.reproducible = true needs comm.gradients = \"fp32\": the rounding of narrower gradients "
         "depends on the number of ranks.");
  if (options.run.reproducible && options.train.sync_batch_norm)
    fail(ExitCode::usage,
         "run.reproducible = true cannot be combined with train.sync_batch_norm = true: which samples are "
         "normalized together depends on the number of ranks and threads. Set one of them to false.");
  Step::Options result{.bucket_bytes = options.comm.bucket_bytes,
                       .gradients = options.comm.gradients,
                       .capture = options.run.capture,
                       .max_bad_steps = options.max_bad_steps(),
                       .scales_loss = options.run.precision == Precision::fp16};
  const auto bytes = layout.reduced_size() * static_cast<int64_t>(sizeof(float));
  if (result.bucket_bytes == 0)
    result.bucket_bytes =
        world.size() == 1 ? bytes : choose_bucket_bytes(measure_all_reduce(world, exec, communicator), bytes);
  return result;
}

std::optional<Sharding> make_sharding(World& world, Exec exec, const TrainOptions& options,
                                      Communicator& communicator, const ParameterLayout& layout,
                                      const Step::Options& settings) {
  if (!options.optimizer.sharded || world.size() == 1) return std::nullopt;
  return Sharding(exec, communicator, layout, settings.bucket_bytes);
}

Graph trained_graph(const Graph& graph, const Objective& objective) {
  Graph trained = graph.clone();
  return objective.reads_padded(graph.shape(graph.output())) ? with_padded_output(std::move(trained))
                                                             : std::move(trained);
}

int64_t count_steps(const TrainOptions& options, int64_t steps_per_epoch) {
  if (options.train.steps > 0) return options.train.steps;
  // Small enough that no count of operations in these steps overflows either.
  constexpr int64_t kMaxSteps = int64_t{1} << 53;
  if (options.train.epochs > kMaxSteps / steps_per_epoch)
    fail(ExitCode::usage, "train.epochs = {} of {} each are too many steps to count: at most {} epochs.",
         options.train.epochs, counted(steps_per_epoch, "step"), kMaxSteps / steps_per_epoch);
  return options.train.epochs * steps_per_epoch;
}

int64_t evaluation_batch(const TrainOptions& options) {
  return std::max(options.train.micro_batch, std::min<int64_t>(options.train.global_batch, 64));
}

}  // namespace lockstep
