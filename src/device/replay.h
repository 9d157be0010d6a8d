#pragma once

#include <functional>
#include <memory>

#include "src/device/exec.h"

namespace lockstep {

/// A function that enqueues the same work each time. On CUDA the second run captures it into a CUDA graph and
/// later runs replay that graph with one launch; the first is not captured, because libraries allocate on
/// their first use. Without capture, and on the CPU, every run calls the function.
class Replay {
 public:
  /// enqueue touches only fixed addresses and outlives this object's runs; other streams it uses join the
  /// compute stream again by events.
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
