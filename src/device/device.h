#pragma once

#include <memory>

#include "src/device/exec.h"

namespace lockstep {

/// The device a process computes on: the CPU, or one GPU with its streams and library handles.
class Device {
 public:
  /// The CPU.
  Device();
  /// A GPU, by its index among those visible to the process. Throws Error with CUDA's own message if it
  /// cannot be used.
  explicit Device(int gpu);
  ~Device();
  Device(Device&&) noexcept;
  Device& operator=(Device&&) noexcept;

  /// Valid for the lifetime of this object, even if it is moved.
  Exec exec() const;

 private:
  std::unique_ptr<CudaContext> cuda_;
};

}  // namespace lockstep
