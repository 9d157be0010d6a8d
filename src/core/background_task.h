#pragma once

#include <functional>
#include <memory>
#include <thread>

namespace lockstep {

/// A thread that runs one function at a time in the background. All methods are called from one thread.
class BackgroundTask {
 public:
  BackgroundTask();
  /// Waits for the running function and discards any exception from it. During stack unwinding, waits at most
  /// one minute, so that a hung disk cannot keep an error from being reported.
  ~BackgroundTask();
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

  /// Calls wait(), then starts `work` and returns. `work` may outlive this object, so it must own what it
  /// uses.
  void start(std::function<void()> work);
  /// Waits until no function is running. Rethrows, once, what the newest function threw.
  void wait();
  /// If the newest function has ended, rethrows, once, what it threw. Does not wait.
  void check();

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< shared with the thread
  std::thread thread_;
  int exceptions_at_start_ = 0;
};

}  // namespace lockstep
