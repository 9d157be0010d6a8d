#include "src/device/gpu_energy.h"

#include <fmt/format.h>

namespace lockstep {

template <typename Function>
Function* GpuEnergy::find(const char* name) const {
  return reinterpret_cast<Function*>(dlsym(library_.get(), name));
}

// NVML's functions return 0 for success. Their types are declared here, because a build without CUDA has no
// nvml.h. A function of NVML never changes its type: a new version has a new name.
GpuEnergy::GpuEnergy(const std::string& bus_id, const char* library)
    : library_(dlopen(library, RTLD_LAZY | RTLD_LOCAL)) {
  if (!library_) {
    reason_ = fmt::format("{} of the NVIDIA driver cannot be loaded", library);
    return;
  }
  auto* const start = find<int()>("nvmlInit_v2");
  auto* const device = find<int(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2");
  auto* const describe = find<const char*(int)>("nvmlErrorString");
  total_energy_ = find<int(void*, unsigned long long*)>("nvmlDeviceGetTotalEnergyConsumption");
  if (start == nullptr || device == nullptr || describe == nullptr || total_energy_ == nullptr) {
    reason_ = "the NVIDIA driver is older than its energy counter";
    library_.reset();
    return;
  }
  if (const int status = start(); status != 0) {
    reason_ = fmt::format("NVML reports: {}", describe(status));
    library_.reset();
    return;
  }
  unsigned long long now = 0;
  int status = device(bus_id.c_str(), &device_);
  if (status == 0) status = total_energy_(device_, &now);
  if (status != 0) reason_ = fmt::format("NVML reports for GPU {}: {}", bus_id, describe(status));
}

GpuEnergy::~GpuEnergy() {
  if (!library_) return;
  if (auto* const stop = find<int()>("nvmlShutdown"); stop != nullptr) static_cast<void>(stop());
}

std::optional<double> GpuEnergy::joules() const {
  unsigned long long millijoules = 0;
  if (!reason_.empty() || total_energy_(device_, &millijoules) != 0) return std::nullopt;
  return 1e-3 * static_cast<double>(millijoules);
}

}  // namespace lockstep
