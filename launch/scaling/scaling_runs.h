#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comm/cost/scaling_fit.h"
#include "launch/process/environment.h"
#include "launch/scaling/statistics.h"

namespace lockstep {

/// weak: every rank has train.global_batch samples a step. strong: all ranks together have them.
enum class ScalingMode { weak, strong };
std::string to_string(ScalingMode mode);

/// How `lockstep bench scaling` starts ranks, and what they measure.
struct ScalingPlan {
  std::vector<std::string> launcher;   ///< words in front of "-n RANKS lockstep ..."
  std::vector<std::string> arguments;  ///< of bench step, without what a point sets
  std::string device;                  ///< "" as the config says
  bool reproducible = false;           ///< which of the sums the steps use
  int64_t global_batch = 0;
  int64_t steps = 0, repeats = 0;
  std::vector<int64_t> ranks;  ///< rising
  std::vector<ScalingMode> modes;
};

/// The launcher when none is given: srun in a Slurm job, else mpirun. Throws Error(usage) when this process
/// is itself one of several ranks, or one that cannot start others.
std::vector<std::string> choose_launcher(const Environment& environment, int64_t most_ranks, int64_t cores);

/// One number of ranks in one mode, measured `repeats` times. Medians over the repeats, in milliseconds of a
/// step.
struct ScalingPoint {
  ScalingMode mode = ScalingMode::weak;
  int64_t ranks = 0, global_batch = 0, threads = 0;
  Spread samples_per_s, step_ms;
  double compute_ms = 0, compute_spread_ms = 0, wait_ms = 0, communication_ms = 0;
  std::vector<double> bucket_bytes;
  bool overlap = false;

  double samples_per_rank() const { return static_cast<double>(global_batch) / static_cast<double>(ranks); }
};

/// Runs every point `repeats` times, all points once before any a second time, and says on the log what runs.
/// Throws Error with a run's own words when it fails.
std::vector<ScalingPoint> run_scaling(const ScalingPlan& plan);

/// Times sums of several sizes up to `most_bytes` on each number of ranks above one.
std::vector<MeasuredSum> measure_sums(const ScalingPlan& plan, double most_bytes);

}  // namespace lockstep
