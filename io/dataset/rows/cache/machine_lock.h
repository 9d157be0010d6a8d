#pragma once

#include <pthread.h>

namespace lockstep {

/// A mutex with a condition, in memory that several processes of a machine may map. Not destroyed: its memory
/// is unmapped.
class MachineLock {
 public:
  /// Call in one process, before any other call.
  void initialize();

  /// Throws Error(lost) if a process has died that held the lock, because what it guards is then half
  /// changed.
  void lock();
  /// The same, but returns false instead.
  bool acquire() noexcept;
  void unlock() noexcept;
  /// The caller holds the lock, which is released meanwhile. May return without a wake_all().
  void wait();
  void wake_all() noexcept;

 private:
  pthread_mutex_t mutex_;
  pthread_cond_t changed_;
};

}  // namespace lockstep
