#pragma once

#include <memory>

#include "src/device/exec.h"

namespace lockstep {

/// A point in the work enqueued on an Exec for which the host can wait, without waiting for later work.
class Fence {
 public:
  explicit Fence(Exec exec);
  ~Fence();
  /// Marks the point: after everything enqueued so far.
  void record();
  /// Blocks until the newest point has been reached; returns at once if there is none, and on the CPU.
  void wait();
  /// Whether wait() would return at once.
  bool reached() const;

 private:
  struct Impl;
  Exec exec_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
