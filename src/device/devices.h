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

/// The GPUs of this machine, or the reason why there are none.
struct DeviceReport {
  std::vector<GpuInfo> gpus;
  std::string reason;  ///< why gpus is empty: no CUDA in this build, no driver, a driver too old
  int driver_version = 0, runtime_version = 0;  ///< as CUDA encodes them: 13000 is 13.0
  int64_t cudnn_version = 0;  ///< of the library in use; without a GPU, of the one built against
  int64_t cublas_version = 0;
  std::string architectures;         ///< those for which this build has code, as has_code_for() takes them
  std::vector<std::string> missing;  ///< libraries needed for a GPU that cannot be loaded, with the remedy
};

/// Queries the GPUs; does not throw if there are none.
DeviceReport find_devices();

/// GpuInfo::bus_id of the GPU of `exec`; "" on the CPU.
std::string bus_id_of(Exec exec);

/// The version of the NVIDIA driver, "580.95.05"; "" if unknown.
std::string driver_release();

/// Memory in use on the GPU of `exec`, by all processes; 0 on the CPU. A run allocates all its memory before
/// the first step, so this is also its peak.
int64_t used_device_bytes(Exec exec);

}  // namespace lockstep
