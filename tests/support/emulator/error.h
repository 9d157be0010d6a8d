#pragma once

// The runtime's sticky error, and the lock of all its calls.
#include <mutex>
#include <stdexcept>
#include <string>

#include "tests/support/emulator/include/cuda_runtime.h"

namespace emulator {

/// Held by every call of the runtime: calls come from several host threads, and kernels share built_ins.
std::recursive_mutex& runtime_lock();

/// Remembers an error for cudaGetLastError() and gives it back.
cudaError_t report(cudaError_t error);
/// The error of work that failed: every later call that waits reports it too, as on a GPU.
cudaError_t report_failed_work(const std::string& sentence);
/// cudaSuccess, or the error of failed work.
cudaError_t failed_work();
/// For tests of failures: as if the process were started anew.
void forget_failed_work();

/// A call that is about to run work, or refuses to: turns what work throws into the sticky error.
template <typename Function>
cudaError_t running(Function function) {
  const std::lock_guard lock(runtime_lock());
  if (failed_work() != cudaSuccess) return report(failed_work());
  try {
    return report(function());
  } catch (const std::runtime_error& error) {
    return report_failed_work(error.what());
  }
}

}  // namespace emulator
