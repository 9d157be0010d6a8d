#include "launch/process/restart_policy.h"

#include <algorithm>
#include <cmath>
#include <csignal>

#include "src/core/error.h"

namespace lockstep {

bool lost_a_rank(int exit_code) {
  return exit_code == static_cast<int>(ExitCode::lost) || (exit_code > 128 && exit_code != 128 + SIGINT);
}

std::optional<double> RestartPolicy::after(int exit_code, bool progressed) {
  if (!lost_a_rank(exit_code)) return std::nullopt;
  if (progressed) in_a_row_ = 0;
  if (in_a_row_ >= rules_.max_in_a_row) return std::nullopt;
  return std::min(rules_.first_wait * std::pow(2.0, in_a_row_++), rules_.max_wait);
}

}  // namespace lockstep
