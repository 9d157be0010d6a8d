#pragma once

// What the emulated libraries have in common.
#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "tests/support/emulator/error.h"
#include "tests/support/emulator/graph.h"
#include "tests/support/emulator/stream.h"

namespace emulator {

inline uintptr_t new_handle() {
  static std::atomic<uintptr_t> newest = 0;
  return newest += 16;
}

/// The objects behind a library's handles. A handle is a number that is never given out again, so one that
/// has been destroyed, or is of another kind, is always noticed.
template <typename Handle, typename Object>
class Handles {
 public:
  Handle add(Object object) {
    const auto handle = reinterpret_cast<Handle>(new_handle());
    const std::lock_guard lock(mutex_);
    objects_.emplace(handle, std::move(object));
    return handle;
  }
  /// Null for a handle that is none.
  Object* find(Handle handle) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : &found->second;
  }
  bool remove(Handle handle) {
    const std::lock_guard lock(mutex_);
    return objects_.erase(handle) == 1;
  }

 private:
  std::mutex mutex_;
  std::map<Handle, Object> objects_;
};

struct Range {
  const void* start;
  size_t bytes;

  bool overlaps(const Range& other) const {
    const auto mine = reinterpret_cast<uintptr_t>(start), theirs = reinterpret_cast<uintptr_t>(other.start);
    return mine < theirs + other.bytes && theirs < mine + bytes;
  }
};

/// Enqueues; false when the GPU has failed, now or before.
inline bool launch(CUstream_st* stream, Work work, When when = When::later) {
  return running([&] {
           enqueue(stream, std::move(work), when);
           return cudaSuccess;
         }) == cudaSuccess;
}

/// Whether there is a GPU, and this thread is not capturing: what a library needs to be initialized.
inline bool can_initialize() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess && count > 0 && refuse_in_capture() == cudaSuccess;
}

/// Fills scratch memory with NaN: whoever has something in there will see it.
inline void scribble(void* memory, size_t bytes) {
  if (bytes > 0) std::memset(memory, 0xff, bytes);
}

/// As a sum whose order of terms is left to chance: another value each time, off by up to 2^-18 of it.
inline double unsteady(double value) { return value * (1 + random_below(64) * 0x1p-24); }

}  // namespace emulator
