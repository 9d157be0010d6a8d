#pragma once

#include <functional>
#include <memory>
#include <thread>

namespace lockstep {

/// A thread that runs one function at a time for somebody who has other things to do. All methods are called
/// from one thread.
class BackgroundTask {
 public:
  BackgroundTask();
  /// Waits for the function that runs, and is silent about what it throws. While an exception is on its way
  /// out it waits for a minute at most: a disk that hangs must not keep an error from being told.
  ~BackgroundTask();
  BackgroundTask(const BackgroundTask&) = delete;
  BackgroundTask& operator=(const BackgroundTask&) = delete;

  /// wait(), then starts `work` and returns. It owns what it uses, because it may outlive this object.
  void start(std::function<void()> work);
  /// Waits until nothing runs any more. Rethrows, once, what the newest function threw.
  void wait();
  /// Rethrows, once, what the newest function threw if that has ended. Does not wait.
  void check();

 private:
  struct State;
  std::shared_ptr<State> state_;  ///< also the thread's
  std::thread thread_;
  int exceptions_at_start_ = 0;
};

}  // namespace lockstep
