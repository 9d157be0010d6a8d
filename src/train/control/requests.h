#pragma once

namespace lockstep {

/// Requests of one rank to all. They are all-reduced with the loss: with a step's metrics, every rank learns
/// what any of them requested at the start of that step, and all act on it after the same step.
struct Requests {
  bool stop = false;  ///< save and end the run
  bool save = false;  ///< save a checkpoint

  bool operator==(const Requests&) const = default;
};

}  // namespace lockstep
