#pragma once

#include <optional>

#include "comm/collectives/world.h"
#include "src/train/run/options.h"
#include "src/train/step/sharding.h"
#include "src/train/step/step.h"

namespace lockstep {

/// Collective. The number of cores that this rank may use, divided by the ranks of its machine that may use
/// the same ones; may be 0.
int fair_share_of_cores(World& world);

/// CPU threads per rank: run.threads, or fair_share_of_cores(); one on CUDA. Collective; returns the minimum
/// over the ranks, because it determines which rank evaluates which samples.
int lanes_of(const TrainOptions& options, Exec exec, World& world);

/// How this run's steps all-reduce gradients. Collective; measures all-reduces if it has to choose the bucket
/// size. Throws Error(usage) for keys that contradict each other.
Step::Options step_options(const TrainOptions& options, World& world, Exec exec, Communicator& communicator,
                           const ParameterLayout& layout);

/// How the optimizer is sharded over this run's ranks; empty if it is not.
std::optional<Sharding> make_sharding(World& world, Exec exec, const TrainOptions& options,
                                      Communicator& communicator, const ParameterLayout& layout,
                                      const Step::Options& settings);

/// The network as it is trained: as it is evaluated, but with_padded_output() if the loss can read that.
Graph trained_graph(const Graph& graph, const Objective& objective);

/// Number of steps of the whole run. Throws Error(usage) if there are too many to count.
int64_t count_steps(const TrainOptions& options, int64_t steps_per_epoch);

/// Micro-batch size of evaluation, which is the same for any number of ranks: at least that of the options,
/// because a forward pass takes less memory than training.
int64_t evaluation_batch(const TrainOptions& options);

}  // namespace lockstep
