#include "comm/reduce/round_reducer.h"

#include <algorithm>

#include "src/core/activity.h"
#include "src/core/error.h"
#include "src/device/elementwise.h"

namespace lockstep {

void RoundReducer::begin() {
  const std::scoped_lock lock(mutex_);
  arrived_ = 0;
  cancelled_ = nullptr;
}

void RoundReducer::sum(Exec exec, int lane, int lanes, std::span<float> values) {
  INVARIANT(lane < lanes && !(lanes > 1 && exec.on_cuda()), "lane {} of {} on {}", lane, lanes,
            to_string(exec.backend()));
  std::unique_lock lock(mutex_);
  if (cancelled_) std::rethrow_exception(cancelled_);
  waiting_.resize(static_cast<size_t>(lanes));
  waiting_[static_cast<size_t>(lane)] = values;
  if (++arrived_ < lanes) {
    const uint64_t mine = sums_;
    changed_.wait(lock, [&] { return cancelled_ || sums_ != mine; });
    if (sums_ == mine) std::rethrow_exception(cancelled_);
    return;
  }
  // All other lanes wait for this one, so it may hold the lock.
  const std::span<float> sum = waiting_.front();
  for (const std::span<float>& other : waiting_) {
    INVARIANT(other.size() == sum.size(), "lanes add {} and {} values", sum.size(), other.size());
    if (other.data() != sum.data())
      add_in_place(exec, sum.data(), other.data(), static_cast<int64_t>(sum.size()));
  }
  const CollectiveScope scope;
  communicator_.start_all_reduce(exec, sum);
  communicator_.wait(exec);
  for (const std::span<float>& other : waiting_)
    if (other.data() != sum.data()) std::copy(sum.begin(), sum.end(), other.begin());
  arrived_ = 0;
  ++sums_;
  changed_.notify_all();
}

void RoundReducer::cancel(const std::exception_ptr& cause) noexcept {
  const std::scoped_lock lock(mutex_);
  if (!cancelled_) cancelled_ = cause;
  changed_.notify_all();
}

}  // namespace lockstep
