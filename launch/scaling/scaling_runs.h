#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comm/cost/scaling_fit.h"
#include "launch/measure/statistics.h"
#include "launch/process/environment.h"

namespace lockstep {

/// weak: train.global_batch samples per rank and step. strong: train.global_batch samples per step over all
/// ranks.
enum class ScalingMode { weak, strong };
std::string to_string(ScalingMode mode);

/// How `lockstep bench scaling` starts ranks, and what they measure.
struct ScalingPlan {
  std::vector<std::string> launcher;   ///< words in front of "-n RANKS lockstep ..."
  std::vector<std::string> arguments;  ///< of bench step, except those that depend on the point
  std::string device;                  ///< "" as the config says
  bool reproducible = false;           ///< which all-reduce the steps use
  int64_t global_batch = 0;
  int64_t steps = 0, repeats = 0;
  std::vector<int64_t> ranks;  ///< ascending
  std::vector<ScalingMode> modes;
};

/// The default launcher: srun in a Slurm job, else mpirun. Throws Error(usage) if this process is itself one
/// of several ranks, or cannot start others.
std::vector<std::string> choose_launcher(const Environment& environment, int64_t max_ranks, int64_t cores);

/// One number of ranks in one mode, measured `repeats` times. Medians over the repeats, in milliseconds per
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

/// Runs every point `repeats` times, all points once before any a second time, and logs each run. If a run
/// fails, throws Error with its message.
std::vector<ScalingPoint> run_scaling(const ScalingPlan& plan);

/// Times all-reduces of several sizes up to `max_bytes` on each number of ranks above one.
std::vector<MeasuredAllReduce> measure_all_reduces(const ScalingPlan& plan, double max_bytes);

}  // namespace lockstep
