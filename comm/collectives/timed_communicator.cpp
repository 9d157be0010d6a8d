#include "comm/collectives/timed_communicator.h"

#include <algorithm>
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
  if (times_on_device(exec) && !collective.data.empty()) {
    Interval& interval = next(collectives_, next_collective_, exec);
    interval.begin.record(Timestamp::Of::compute);
    inner_->start(exec, collective);
    interval.end.record(Timestamp::Of::communication);
  } else {
    inner_->start(exec, collective);
  }
  starting_ += nanoseconds_since(begin);
}

void TimedCommunicator::wait(Exec exec) {
  const Clock::time_point start = Clock::now();
  if (times_on_device(exec)) {
    Interval& interval = next(waits_, next_wait_, exec);
    interval.begin.record(Timestamp::Of::compute);
    inner_->wait(exec);
    interval.end.record(Timestamp::Of::compute);
  } else {
    inner_->wait(exec);
  }
  waiting_ += nanoseconds_since(start);
}

double TimedCommunicator::take_seconds(int lanes) {
  const auto starting = static_cast<double>(starting_.exchange(0));
  return 1e-9 * (starting / lanes + static_cast<double>(waiting_.exchange(0)));
}

TimedCommunicator::Interval& TimedCommunicator::next(std::vector<Interval>& intervals, size_t& used,
                                                     Exec exec) {
  if (used == intervals.size()) intervals.push_back({Timestamp(exec), Timestamp(exec)});
  return intervals[used++];
}

void TimedCommunicator::begin_step() {
  in_step_ = true;
  next_collective_ = next_wait_ = 0;
}

TimedCommunicator::DeviceSeconds TimedCommunicator::device_seconds() const {
  DeviceSeconds seconds;
  for (size_t i = 0; i < collectives_.size(); ++i) {
    // It waits for its data and for the previous collective.
    const Interval& interval = collectives_[i];
    const double since_ready = interval.end.seconds_since(interval.begin);
    seconds.running +=
        i == 0 ? since_ready : std::min(since_ready, interval.end.seconds_since(collectives_[i - 1].end));
  }
  for (const Interval& interval : waits_) seconds.exposed += interval.end.seconds_since(interval.begin);
  return seconds;
}

}  // namespace lockstep
