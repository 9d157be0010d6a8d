#pragma once

#include <memory>

#include "src/device/exec.h"

namespace lockstep {

/// Where a process computes, and what that needs: the CPU, or one GPU with its streams and library handles.
class Device {
 public:
  /// The CPU.
  Device();
  /// This GPU, by its index among those that the process sees. Throws Error with CUDA's own words when it
  /// cannot be used.
  explicit Device(int gpu);
  ~Device();
  Device(Device&&) noexcept;
  Device& operator=(Device&&) noexcept;

  /// Valid as long as this object, wherever it is moved.
  Exec exec() const;

 private:
  std::unique_ptr<CudaContext> cuda_;
};

}  // namespace lockstep
