#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/device/exec.h"

namespace lockstep {

struct GpuInfo {
  int index;
  std::string name;
  int compute_major, compute_minor;
  int64_t memory_bytes;
  std::string bus_id;
};

/// What this machine offers in GPUs, and in words why there are none.
struct DeviceReport {
  std::vector<GpuInfo> gpus;
  std::string reason;  ///< why gpus is empty: no CUDA in this build, no driver, a driver too old
  int driver_version = 0, runtime_version = 0;  ///< as CUDA encodes them: 13000 is 13.0
  int64_t cudnn_version = 0;  ///< of the library in use; without a GPU, of the one this was built with
  int64_t cublas_version = 0;
  std::string architectures;  ///< what this build has code for, as has_code_for() takes it
  std::vector<std::string>
      missing;  ///< libraries that a GPU needs and that cannot be loaded, with the remedy
};

/// Looks at the GPUs; never throws for their absence.
DeviceReport find_devices();

/// The version of the NVIDIA driver, "580.95.05"; "" where nobody tells.
std::string driver_release();

/// Memory in use on the GPU of `exec`, by everyone; 0 on the CPU. All of a run's memory is taken before its
/// first step, so this is also its peak.
int64_t used_device_bytes(Exec exec);

}  // namespace lockstep
