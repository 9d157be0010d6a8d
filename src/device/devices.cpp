#include "src/device/devices.h"

#ifdef LOCKSTEP_HAVE_CUDA
#include <cublasLt.h>
#include <cudnn.h>

#include "src/device/cuda_context.h"
#endif

namespace lockstep {

DeviceReport find_devices() {
  DeviceReport report;
#ifdef LOCKSTEP_HAVE_CUDA
  report.cudnn_version = CUDNN_VERSION;
  report.cublas_version = CUBLAS_VERSION;
  static_cast<void>(cudaRuntimeGetVersion(&report.runtime_version));
  static_cast<void>(cudaDriverGetVersion(&report.driver_version));
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  if (status == cudaErrorInsufficientDriver) {
    report.reason = report.driver_version == 0
                        ? "no NVIDIA driver on this machine"
                        : "the NVIDIA driver supports CUDA " + std::to_string(report.driver_version / 1000) +
                              "." + std::to_string(report.driver_version % 1000 / 10) +
                              " and this build needs " + std::to_string(report.runtime_version / 1000) + "." +
                              std::to_string(report.runtime_version % 1000 / 10) + ": update the driver";
    return report;
  }
  if (status != cudaSuccess || count == 0) {
    report.reason = status == cudaSuccess || status == cudaErrorNoDevice
                        ? "no GPU is visible (CUDA_VISIBLE_DEVICES?)"
                        : std::string("CUDA reports: ") + cudaGetErrorString(status);
    return report;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    CHECK(cudaGetDeviceProperties(&properties, i));
    char bus_id[32] = {};
    CHECK(cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, i));
    report.gpus.push_back({i, properties.name, properties.major, properties.minor,
                           static_cast<int64_t>(properties.totalGlobalMem), bus_id});
  }
  // Asked only now: this loads cuBLAS, which a machine without a GPU must not pay for.
  report.cudnn_version = static_cast<int64_t>(cudnnGetVersion());
  report.cublas_version = static_cast<int64_t>(cublasLtGetVersion());
#else
  report.reason = "this build has no CUDA backend";
#endif
  return report;
}

int64_t used_device_bytes([[maybe_unused]] Exec exec) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) {
    size_t free_bytes = 0, total_bytes = 0;
    CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
    return static_cast<int64_t>(total_bytes - free_bytes);
  }
#endif
  return 0;
}

}  // namespace lockstep
