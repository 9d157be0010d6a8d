#pragma once

#include <functional>
#include <memory>

#include "src/device/exec.h"

namespace lockstep {

/// Runs a function that enqueues the same work each time. On CUDA the second run captures it into a CUDA
/// graph, which later runs replay with one launch; the first is not captured, because libraries allocate on
/// first use. Without capture, and on the CPU, every run calls the function.
class Replay {
 public:
  /// `enqueue` accesses only fixed addresses and outlives all runs; other streams that it uses must rejoin
  /// the compute stream through events.
  Replay(Exec exec, bool capture, std::function<void()> enqueue);
  ~Replay();

  void run();

 private:
  struct Impl;
  Exec exec_;
  bool capture_;
  std::function<void()> enqueue_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
