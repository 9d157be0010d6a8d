#include "comm/timed_communicator.h"

#include <chrono>

namespace lockstep {

namespace {

using Clock = std::chrono::steady_clock;

int64_t nanoseconds_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
}

}  // namespace

void TimedCommunicator::start(Exec exec, const Collective& collective) {
  const Clock::time_point begin = Clock::now();
  inner_->start(exec, collective);
  starting_ += nanoseconds_since(begin);
}

void TimedCommunicator::wait(Exec exec) {
  const Clock::time_point start = Clock::now();
  inner_->wait(exec);
  waiting_ += nanoseconds_since(start);
}

double TimedCommunicator::take_seconds(int lanes) {
  const auto starting = static_cast<double>(starting_.exchange(0));
  return 1e-9 * (starting / lanes + static_cast<double>(waiting_.exchange(0)));
}

}  // namespace lockstep
