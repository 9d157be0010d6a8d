#include "launch/run/choose_device.h"

#include <algorithm>
#include <string>
#include <vector>

#include "launch/process/environment.h"
#include "src/core/counted.h"
#include "src/core/error.h"
#include "src/core/hash.h"
#include "src/core/log.h"
#include "src/device/devices.h"

namespace lockstep {

namespace {

/// This rank's GPU among the visible ones. With a launcher that binds GPUs, each rank sees only its own.
int gpu_of(const World& world, const DeviceReport& report) {
  return world.local_rank() % static_cast<int>(report.gpus.size());
}

/// Identifies a GPU uniquely in the job.
uint64_t identity(const GpuInfo& gpu) { return hash_name(host_identity() + "/" + gpu.bus_id); }

/// Why this rank cannot use a GPU. If ranks share a GPU, the same text on every rank; otherwise "" on ranks
/// that can.
std::string obstacle(World& world, const DeviceReport& report) {
  const bool none = report.gpus.empty();
  const uint64_t mine = none ? 0 : identity(report.gpus[static_cast<size_t>(gpu_of(world, report))]);
  std::vector<uint64_t> all = world.gather(mine);
  if (none) return report.reason;
  std::sort(all.begin(), all.end());
  if (std::find(all.begin(), all.end(), 0) != all.end()) return "";
  if (std::adjacent_find(all.begin(), all.end()) == all.end()) return "";
  return fmt::format("{} ranks on a machine with {}: start one rank per GPU", world.local_size(),
                     counted(report.gpus.size(), "GPU"));
}

}  // namespace

Device choose_device(World& world, DeviceChoice wanted) {
  if (wanted == DeviceChoice::cpu) return Device();
  const DeviceReport report = find_devices();
  const std::string reason = obstacle(world, report);
  if (wanted == DeviceChoice::cuda && !reason.empty())
    fail(ExitCode::usage, "a GPU was requested, but {}. Use --device cpu or --device auto.", reason);
  if (!world.any(!reason.empty())) return Device(gpu_of(world, report));
  log_info("running on the CPU: {}", reason.empty() ? "another rank has no GPU" : reason);
  return Device();
}

}  // namespace lockstep
