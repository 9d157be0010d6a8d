#include "src/core/background_task.h"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <utility>

#include "src/core/error.h"

namespace lockstep {

namespace {

constexpr std::chrono::seconds kPatience{60};

}  // namespace

struct BackgroundTask::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::function<void()> work;  ///< until the thread has run it
  std::exception_ptr failure;
  bool stop = false;

  bool idle() const { return work == nullptr; }

  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return stop || !idle(); });
      if (idle()) return;
      lock.unlock();
      std::exception_ptr thrown;
      try {
        work();
      } catch (...) {
        thrown = std::current_exception();
      }
      lock.lock();
      failure = thrown;
      work = nullptr;
      changed.notify_all();
    }
  }
};

BackgroundTask::BackgroundTask()
    : state_(std::make_shared<State>()), exceptions_at_start_(std::uncaught_exceptions()) {}

BackgroundTask::~BackgroundTask() {
  if (!thread_.joinable()) return;
  bool leave_behind = false;
  {
    std::unique_lock lock(state_->mutex);
    state_->stop = true;
    state_->changed.notify_all();
    if (std::uncaught_exceptions() > exceptions_at_start_)
      leave_behind = !state_->changed.wait_for(lock, kPatience, [this] { return state_->idle(); });
  }
  if (leave_behind)
    thread_.detach();
  else
    thread_.join();
}

void BackgroundTask::start(std::function<void()> work) {
  wait();
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([state = state_] { state->serve(); });
    } catch (const std::system_error& error) {
      fail(ExitCode::memory, "cannot start one more thread: {}. Raise the limit on processes (ulimit -u).",
           error.what());
    }
  }
  const std::scoped_lock lock(state_->mutex);
  state_->work = std::move(work);
  state_->changed.notify_all();
}

void BackgroundTask::wait() {
  {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->idle(); });
  }
  check();
}

void BackgroundTask::check() {
  std::exception_ptr failure;
  {
    const std::scoped_lock lock(state_->mutex);
    failure = std::exchange(state_->failure, nullptr);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace lockstep
