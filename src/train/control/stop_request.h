#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace lockstep {

/// Conditions that stop a run early. Each rank has its own; one rank is enough to stop all.
struct StopConditions {
  /// Returns the reason for a requested stop, such as "SIGTERM", or "" if none is requested. Null: never
  /// requested.
  std::function<std::string()> asked = nullptr;
  /// When this process must have ended, such as the end of its job. A steady clock, which setting the time
  /// does not affect.
  std::optional<std::chrono::steady_clock::time_point> ends_at = std::nullopt;
};

/// How long the parts of a run take, in seconds: the maximum of recent ones.
struct Durations {
  double step = 0;
  double checkpoint = 0;  ///< until on disk
};

/// Seconds that stopping may take: the steps until all ranks know of the request, a checkpoint twice as slow
/// as the slowest so far, and the end of the processes.
double seconds_to_stop(const Durations& durations);

/// Decides before each step whether this rank requests all ranks to stop.
class StopRequest {
 public:
  /// first_checkpoint: seconds that a checkpoint may take before any was made.
  StopRequest(StopConditions conditions, double first_checkpoint);

  void step_took(double seconds);
  void checkpoint_took(double seconds);

  /// The reason to stop now, for messages; "" to continue.
  std::string reason() const;

 private:
  StopConditions conditions_;
  Durations durations_;
  bool has_checkpoint_ = false;
};

}  // namespace lockstep
