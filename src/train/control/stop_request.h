#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace lockstep {

/// What may end a run before its time. Each rank has its own; one rank that asks is enough.
struct StopConditions {
  /// Why somebody wants the run to stop, "SIGTERM" say; "" as long as nobody does. Null: nobody ever will.
  std::function<std::string()> asked = nullptr;
  /// When this process must have ended: that of its job, say. By a clock that nobody sets.
  std::optional<std::chrono::steady_clock::time_point> ends_at = std::nullopt;
};

/// How long a run's parts take, in seconds: the longest of late.
struct Durations {
  double step = 0;
  double checkpoint = 0;  ///< until it is on disk
};

/// Seconds that stopping may take: the steps that are under way when a rank asks, until all know of it, a
/// checkpoint twice as slow as the slowest so far, and what ending the processes needs.
double seconds_to_stop(const Durations& durations);

/// Whether, before each step, this rank should ask all to stop.
class StopRequest {
 public:
  /// first_checkpoint: seconds that a checkpoint may take as long as none was made.
  StopRequest(StopConditions conditions, double first_checkpoint);

  void step_took(double seconds);
  void checkpoint_took(double seconds);

  /// Why to stop now, for people; "" to go on.
  std::string reason() const;

 private:
  StopConditions conditions_;
  Durations durations_;
  bool has_checkpoint_ = false;
};

}  // namespace lockstep
