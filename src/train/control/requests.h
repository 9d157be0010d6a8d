#pragma once

namespace lockstep {

/// What one rank asks of all. It rides on the sum of the loss: with a step's metrics every rank learns what
/// any of them asked for when it started that step, and all do it after the same step.
struct Requests {
  bool stop = false;  ///< save and end the run
  bool save = false;  ///< save a checkpoint

  bool operator==(const Requests&) const = default;
};

}  // namespace lockstep
