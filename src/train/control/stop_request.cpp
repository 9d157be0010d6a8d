#include "src/train/control/stop_request.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;

/// One step sends the request, the next is running when the answer arrives, and one more may be late.
constexpr double kSteps = 3;
/// Factor by which a file system may slow down when all jobs of a cluster save at once.
constexpr double kSlowerCheckpoint = 2;
/// Ranks end one after another, and clocks of machines differ.
constexpr double kEndSeconds = 5;
/// Decay per step of the influence of a slow step.
constexpr double kForget = 0.99;

}  // namespace

double seconds_to_stop(const Durations& durations) {
  return kSteps * durations.step + kSlowerCheckpoint * durations.checkpoint + kEndSeconds;
}

StopRequest::StopRequest(StopConditions conditions, double first_checkpoint)
    : conditions_(std::move(conditions)), durations_{.checkpoint = first_checkpoint} {}

void StopRequest::step_took(double seconds) {
  durations_.step = std::max(seconds, kForget * durations_.step);
}

void StopRequest::checkpoint_took(double seconds) {
  durations_.checkpoint =
      std::exchange(has_checkpoint_, true) ? std::max(seconds, durations_.checkpoint) : seconds;
}

std::string StopRequest::reason() const {
  if (conditions_.asked)
    if (std::string why = conditions_.asked(); !why.empty()) return why;
  if (!conditions_.ends_at) return "";
  const double left = std::chrono::duration<double>(*conditions_.ends_at - Clock::now()).count();
  if (left > seconds_to_stop(durations_)) return "";
  using std::chrono::system_clock;
  const auto end = system_clock::now() +
                   std::chrono::duration_cast<system_clock::duration>(std::chrono::duration<double>(left));
  return fmt::format("the time is up at {:%H:%M:%S}", fmt::localtime(system_clock::to_time_t(end)));
}

}  // namespace lockstep
