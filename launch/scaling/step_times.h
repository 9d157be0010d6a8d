#pragma once

#include <functional>
#include <optional>

#include "comm/collectives/timed_communicator.h"
#include "comm/collectives/world.h"
#include "launch/scaling/statistics.h"

namespace lockstep {

/// Measured steps. Milliseconds of one step.
struct StepTimes {
  int64_t parts = 0, steps_a_part = 0;
  Spread step;  ///< on the slowest rank, over the parts

  /// Where that went, as means: step = compute + wait + communication, but for what lies between the clocks.
  /// On the CPU in the steps of the middle parts, by the host's clock; on CUDA in steps of their own, each
  /// waited for, by the GPU's.
  struct Shares {
    double compute = 0;         ///< of the mean rank
    double wait = 0;            ///< of the mean rank for the slowest
    double communication = 0;   ///< exposed: of the rank that stood still least
    double compute_spread = 0;  ///< standard deviation over steps and ranks
    double sums = 0;            ///< all collectives, those included that nothing stood still for: of the
                                ///< rank on which they took least
  };
  Shares shares;
};

/// Collective. Runs a few steps to warm up and then `steps` in ten equal parts, each ended by flush(). `run`
/// gets the step's number, from 1.
StepTimes time_steps(World& world, Exec exec, TimedCommunicator& communicator, int lanes, int64_t steps,
                     const std::function<void(int64_t)>& run, const std::function<void()>& flush);

}  // namespace lockstep
