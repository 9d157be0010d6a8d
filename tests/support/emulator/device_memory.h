#pragma once

// The memory of the emulated GPU: host memory, which AddressSanitizer guards and which code on the host may
// not touch.

#include <cstddef>

namespace emulator {

/// Whether these bytes lie in one allocation on the GPU.
bool is_device_memory(const void* memory, size_t bytes);

/// While one exists, work runs and may touch the memory of the GPU.
class DeviceMemoryAccess {
 public:
  DeviceMemoryAccess();
  ~DeviceMemoryAccess();
  DeviceMemoryAccess(const DeviceMemoryAccess&) = delete;
  DeviceMemoryAccess& operator=(const DeviceMemoryAccess&) = delete;
};

/// While one exists, a function of the host runs in the middle of the work, and may not.
class HostCode {
 public:
  HostCode();
  ~HostCode();
  HostCode(const HostCode&) = delete;
  HostCode& operator=(const HostCode&) = delete;

 private:
  int accesses_;
};

}  // namespace emulator
