#pragma once

#include <dlfcn.h>

#include <optional>
#include <string>

#include "src/device/libraries/handle.h"

namespace lockstep {

/// The energy counter of a GPU's board, from NVIDIA's management library (NVML). The library is part of the
/// driver and is loaded at run time, so a machine without it only has no counter.
class GpuEnergy {
 public:
  /// bus_id: as in GpuInfo. `library` replaces the driver's, for tests.
  explicit GpuEnergy(const std::string& bus_id, const char* library = "libnvidia-ml.so.1");
  ~GpuEnergy();
  GpuEnergy(const GpuEnergy&) = delete;
  GpuEnergy& operator=(const GpuEnergy&) = delete;

  /// Energy used since the driver was loaded, by all processes, in joules; drivers update it about ten times
  /// a second. Empty if unknown.
  std::optional<double> joules() const;
  /// Why it is unknown; "" if it is known.
  const std::string& reason() const { return reason_; }

 private:
  template <typename Function>
  Function* find(const char* name) const;

  Handle<void*, dlclose> library_;
  void* device_ = nullptr;  ///< NVML's handle of the GPU
  int (*total_energy_)(void* device, unsigned long long* millijoules) = nullptr;
  std::string reason_;
};

}  // namespace lockstep
