#include "src/core/thread_pool.h"

#include <system_error>

#include "src/core/counted.h"
#include "src/core/error.h"

namespace lockstep {

ThreadPool::ThreadPool(int lanes) : failures_(static_cast<size_t>(lanes)) {
  try {
    for (int lane = 1; lane < lanes; ++lane) workers_.emplace_back([this, lane] { serve(lane); });
  } catch (const std::system_error& error) {
    const size_t started = workers_.size() + 1;
    join();
    fail(ExitCode::usage, "cannot start {}: the system allows {} ({}). Set run.threads lower.",
         counted(lanes, "thread"), started, error.code().message());
  }
}

ThreadPool::~ThreadPool() { join(); }

void ThreadPool::join() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  start_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(const std::function<void(int)>& work) {
  if (workers_.empty()) return work(0);
  {
    const std::scoped_lock lock(mutex_);
    work_ = &work;
    running_ = static_cast<int>(workers_.size());
    ++round_;
  }
  start_.notify_all();
  try {
    work(0);
  } catch (...) {
    failures_[0] = std::current_exception();
  }
  std::unique_lock lock(mutex_);
  done_.wait(lock, [this] { return running_ == 0; });
  for (std::exception_ptr& failure : failures_) {
    if (failure) {
      const std::exception_ptr first = failure;
      for (std::exception_ptr& other : failures_) other = nullptr;
      std::rethrow_exception(first);
    }
  }
}

void ThreadPool::serve(int lane) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    start_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    const auto* work = work_;
    lock.unlock();
    try {
      (*work)(lane);
    } catch (...) {
      failures_[static_cast<size_t>(lane)] = std::current_exception();
    }
    lock.lock();
    if (--running_ == 0) done_.notify_one();
  }
}

}  // namespace lockstep
