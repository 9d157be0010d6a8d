#pragma once

#include <optional>

#include "comm/collectives/world.h"
#include "src/train/run/options.h"
#include "src/train/step/sharding.h"
#include "src/train/step/step.h"

namespace lockstep {

/// CPU threads of a rank: run.threads, or the cores that it may use, shared out to the ranks of its machine
/// that may use the same; one on CUDA.
/// Collective. The same on every rank, namely the fewest: who evaluates which samples follows from it.
int lanes_of(const TrainOptions& options, Exec exec, World& world);

/// How this run's steps sum gradients. Collective; measures the ranks' connection when the size of buckets is
/// to be chosen. Throws Error(usage) for keys that contradict each other.
Step::Options step_options(const TrainOptions& options, World& world, Exec exec, Communicator& communicator,
                           const ParameterLayout& layout);

/// How this run's ranks share out the optimizer; none when they do not.
std::optional<Sharding> make_sharding(World& world, Exec exec, const TrainOptions& options,
                                      Communicator& communicator, const ParameterLayout& layout,
                                      const Step::Options& settings);

/// Steps of the whole run. Throws Error(usage) when they are too many to count.
int64_t count_steps(const TrainOptions& options, int64_t steps_per_epoch);

/// Micro-batch of evaluation: the same for any number of ranks.
int64_t evaluation_batch(const TrainOptions& options);

}  // namespace lockstep
