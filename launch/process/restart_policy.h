#pragma once

#include <optional>

namespace lockstep {

/// When a run that lost a rank is started again.
struct RestartRules {
  int most_in_a_row = 3;     ///< restarts without a new checkpoint between them
  double first_wait = 1;     ///< seconds before the first of them; twice as long before each further one
  double longest_wait = 60;  ///< but no longer than that
};

/// Decides after each try of a run whether another follows.
class RestartPolicy {
 public:
  explicit RestartPolicy(const RestartRules& rules) : rules_(rules) {}

  /// Seconds to wait before the next try; none: give up. `exit_code` is that of the try, `progressed` whether
  /// it left a new checkpoint, after which everything counts from the beginning.
  std::optional<double> after(int exit_code, bool progressed);

  /// Restarts in a row so far.
  int in_a_row() const { return in_a_row_; }

 private:
  RestartRules rules_;
  int in_a_row_ = 0;
};

/// Whether a rank or the launcher was lost, and not the run's own doing: ExitCode::lost, or ended by a signal
/// (128 + its number) other than an interrupt by a person.
bool lost_a_rank(int exit_code);

}  // namespace lockstep
