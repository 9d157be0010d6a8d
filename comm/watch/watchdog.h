#pragma once

#include <memory>

namespace lockstep {

class World;

/// Sees to it that a run never hangs in silence. A thread of each rank tells rank 0 several times a second,
/// outside any collective, what the rank is doing (src/core/activity.h). When a rank dies, hangs or leaves
/// while others wait for it (see judge()), rank 0 prints who is where, names the rank and ends the job with
/// exit code
/// 4. Rank 0 itself is watched by a rank of another machine, if there is one.
///
/// A rank that is stopped, by a debugger too, counts as hanging; a job that is suspended as a whole does not.
class Watchdog {
 public:
  /// Collective. timeout_seconds = 0, or a world of one rank: watches nothing.
  Watchdog(World& world, double timeout_seconds);
  /// Collective: waits until every rank is here, and goes on watching until then. Does not wait when an
  /// exception is on its way out; whoever catches it ends the job.
  ~Watchdog();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
