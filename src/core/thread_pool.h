#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lockstep {

/// A fixed set of threads that run one function together. Lane 0 is the calling thread, so a pool of one
/// starts no thread. Throws Error(usage) if the system does not allow that many threads.
class ThreadPool {
 public:
  explicit ThreadPool(int lanes);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int lanes() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls work(lane) concurrently, once on every lane, and waits for all; rethrows the exception of the
  /// lowest lane.
  void run(const std::function<void(int lane)>& work);

 private:
  void serve(int lane);
  void join();

  std::mutex mutex_;
  std::condition_variable start_;
  std::condition_variable done_;
  const std::function<void(int)>* work_ = nullptr;
  uint64_t round_ = 0;
  int running_ = 0;
  bool stop_ = false;
  std::vector<std::exception_ptr> failures_;
  std::vector<std::thread> workers_;
};

}  // namespace lockstep
