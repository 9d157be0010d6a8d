#pragma once

#include <cstddef>
#include <memory>

#include "src/device/exec.h"

namespace lockstep {

/// Copies from the host to the memory of a backend that run beside the work enqueued on an Exec: on CUDA on a
/// stream of their own; on the CPU each is complete when its call returns. Not captured: they are enqueued
/// outside Replay.
class CopyStream {
 public:
  explicit CopyStream(Exec exec);
  ~CopyStream();
  CopyStream(CopyStream&&) noexcept;

  /// Enqueues a copy after those before it. It does not wait for work enqueued on the Exec, so no such work
  /// may still use the destination. Returns at once if the source is page-locked.
  void copy(void* destination, const void* source, size_t bytes);
  /// Work enqueued on the Exec after this call sees the copies enqueued so far.
  void join();
  /// Whether the copies before the newest join() are done, so that their sources may be overwritten.
  bool done() const;
  /// Blocks until they are.
  void wait();

 private:
  struct Impl;
  Exec exec_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
