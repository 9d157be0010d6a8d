#pragma once

#include <memory>

namespace lockstep {

class World;

/// Detects and ends a run that hangs. A thread of each rank reports to rank 0 several times per second,
/// outside any collective, what the rank is doing (src/core/activity.h). When a rank dies, hangs or leaves
/// while others wait for it (see judge()), rank 0 prints what every rank is doing, names the culprit and ends
/// the job with exit code 4. Rank 0 itself is watched by a rank of another machine, if there is one.
/// A stopped rank counts as hanging, even if stopped by a debugger; a job that is suspended as a whole does
/// not.
class Watchdog {
 public:
  /// Collective. Disabled if timeout_seconds is 0, and in a world of one rank.
  Watchdog(World& world, double timeout_seconds);
  /// Collective: waits for every rank to get here, and keeps watching until then. Does not wait during stack
  /// unwinding, where the handler of the exception ends the job.
  ~Watchdog();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
