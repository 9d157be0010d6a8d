#include "io/dataset/rows/cache/machine_lock.h"

#include <cerrno>

#include "src/core/error.h"

namespace lockstep {

namespace {

[[noreturn]] void fail_lost() {
  fail(ExitCode::lost, "another rank of this machine died while it held the cache that they share.");
}

}  // namespace

void MachineLock::initialize() {
  pthread_mutexattr_t of_mutex;
  pthread_mutexattr_init(&of_mutex);
  pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&of_mutex, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&mutex_, &of_mutex);
  pthread_mutexattr_destroy(&of_mutex);
  pthread_condattr_t of_condition;
  pthread_condattr_init(&of_condition);
  pthread_condattr_setpshared(&of_condition, PTHREAD_PROCESS_SHARED);
  pthread_cond_init(&changed_, &of_condition);
  pthread_condattr_destroy(&of_condition);
}

void MachineLock::lock() {
  if (!acquire()) fail_lost();
}

bool MachineLock::acquire() noexcept {
  const int status = pthread_mutex_lock(&mutex_);
  // Unlocked without being repaired, the mutex refuses everybody from now on.
  if (status == EOWNERDEAD) pthread_mutex_unlock(&mutex_);
  return status == 0;
}

void MachineLock::unlock() noexcept { pthread_mutex_unlock(&mutex_); }

void MachineLock::wait() {
  if (pthread_cond_wait(&changed_, &mutex_) != 0) fail_lost();
}

void MachineLock::wake_all() noexcept { pthread_cond_broadcast(&changed_); }

}  // namespace lockstep
