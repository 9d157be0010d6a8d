#include "src/device/devices.h"

#ifdef LOCKSTEP_HAVE_CUDA
#include <cublasLt.h>
#include <cudnn.h>
#include <dlfcn.h>

#include "src/device/compatibility.h"
#include "src/device/cuda_context.h"
#endif

namespace lockstep {

#ifdef LOCKSTEP_HAVE_CUDA
namespace {

std::string bus_id_of_gpu(int index) {
  char bus_id[32] = {};
  CHECK(cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, index));
  return bus_id;
}

}  // namespace
#endif

DeviceReport find_devices() {
  DeviceReport report;
#ifdef LOCKSTEP_HAVE_CUDA
  report.cudnn_version = CUDNN_VERSION;
  report.cublas_version = CUBLAS_VERSION;
#ifdef LOCKSTEP_CUDA_ARCHITECTURES
  report.architectures = LOCKSTEP_CUDA_ARCHITECTURES;
#endif
  static_cast<void>(cudaRuntimeGetVersion(&report.runtime_version));
  static_cast<void>(cudaDriverGetVersion(&report.driver_version));
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  static_cast<void>(cudaGetLastError());
  if (status == cudaErrorInsufficientDriver) {
    report.reason = driver_obstacle(report.driver_version, report.runtime_version);
    if (report.reason.empty()) report.reason = std::string("CUDA reports: ") + cudaGetErrorString(status);
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
    report.gpus.push_back({i, properties.name, properties.major, properties.minor,
                           static_cast<int64_t>(properties.totalGlobalMem), bus_id_of_gpu(i)});
  }
  // Not earlier, because this loads cuBLAS, which is needless on a machine without a GPU.
  report.cudnn_version = static_cast<int64_t>(cudnnGetVersion());
  try {
    report.cublas_version = static_cast<int64_t>(cublasLtGetVersion());
  } catch (const Error& error) {
    report.missing.push_back(error.what());
  }
#else
  report.reason = "this build has no CUDA backend";
#endif
  return report;
}

std::string bus_id_of([[maybe_unused]] Exec exec) {
#ifdef LOCKSTEP_HAVE_CUDA
  if (exec.on_cuda()) return bus_id_of_gpu(exec.cuda->device());
#endif
  return "";
}

// From the management library, which is part of the driver.
std::string driver_release() {
#ifdef LOCKSTEP_HAVE_CUDA
  const Handle<void*, dlclose> library(dlopen("libnvidia-ml.so.1", RTLD_LAZY | RTLD_LOCAL));
  if (!library) return "";
  const auto start = reinterpret_cast<int (*)()>(dlsym(library.get(), "nvmlInit_v2"));
  const auto ask =
      reinterpret_cast<int (*)(char*, unsigned)>(dlsym(library.get(), "nvmlSystemGetDriverVersion"));
  const auto stop = reinterpret_cast<int (*)()>(dlsym(library.get(), "nvmlShutdown"));
  if (start == nullptr || ask == nullptr || stop == nullptr || start() != 0) return "";
  char text[96] = {};
  const bool known = ask(text, sizeof text) == 0;
  static_cast<void>(stop());
  return known ? text : "";
#else
  return "";
#endif
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
