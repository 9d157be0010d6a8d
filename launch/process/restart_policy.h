#pragma once

#include <optional>

namespace lockstep {

/// When to restart a run that lost a rank.
struct RestartRules {
  int max_in_a_row = 3;   ///< maximum of consecutive restarts without a new checkpoint
  double first_wait = 1;  ///< seconds before the first of them; doubled before each further one
  double max_wait = 60;   ///< upper limit of the wait, in seconds
};

/// Decides after each attempt to run whether to restart.
class RestartPolicy {
 public:
  explicit RestartPolicy(const RestartRules& rules) : rules_(rules) {}

  /// Seconds to wait before the next attempt; none: give up. exit_code: of the last attempt. progressed:
  /// whether it wrote a new checkpoint, which resets the count and the wait.
  std::optional<double> after(int exit_code, bool progressed);

  /// Consecutive restarts so far.
  int in_a_row() const { return in_a_row_; }

 private:
  RestartRules rules_;
  int in_a_row_ = 0;
};

/// Whether a run ended because a rank or the launcher was lost: ExitCode::lost, or killed by a signal (128 +
/// its number) other than an interrupt by the user.
bool lost_a_rank(int exit_code);

}  // namespace lockstep
