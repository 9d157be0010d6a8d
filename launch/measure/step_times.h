#pragma once

#include <functional>
#include <optional>

#include "comm/collectives/timed_communicator.h"
#include "comm/collectives/world.h"
#include "launch/measure/energy.h"
#include "launch/measure/statistics.h"

namespace lockstep {

/// Measured steps, in milliseconds per step.
struct StepTimes {
  int64_t parts = 0, steps_a_part = 0, warm_up = 0;  ///< warm_up: steps before the first part
  Spread step;                                       ///< on the slowest rank, over the parts
  Energy energy;                                     ///< of all parts, on this rank's device

  /// The parts of that time, as means: step = compute + wait + communication, up to differences between the
  /// clocks. On the CPU from the steps of the middle parts, by the host's clock; on CUDA from separate steps,
  /// each synchronized, by the GPU's clock.
  struct Shares {
    double compute = 0;         ///< of the mean rank
    double wait = 0;            ///< of the mean rank, for the slowest one
    double communication = 0;   ///< exposed part: of the rank with the minimum
    double compute_spread = 0;  ///< standard deviation over steps and ranks
    double sums = 0;  ///< all collectives, including the overlapped part: of the rank with the minimum
  };
  Shares shares;
};

/// Collective. Runs a few warm-up steps and then `steps` in ten equal parts, each ended by flush(). `run`
/// receives the step's number, from 1.
StepTimes time_steps(World& world, Exec exec, TimedCommunicator& communicator, int lanes, int64_t steps,
                     EnergyMeter& meter, const std::function<void(int64_t)>& run,
                     const std::function<void()>& flush);

}  // namespace lockstep
