#include "src/device/compatibility.h"

#include <fmt/format.h>

#include <charconv>
#include <sstream>

namespace lockstep {

namespace {

std::string cuda_version(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

/// The first Linux driver release that runs programs built with this major version of CUDA, from its release
/// notes; "" for newer, unknown versions.
std::string first_driver_release(int cuda_major) {
  switch (cuda_major) {
    case 11:
      return "450.80.02";
    case 12:
      return "525.60.13";
    case 13:
      return "580";
    default:
      return "";
  }
}

/// Whether one entry of the list provides code for the GPU, whose compute capability is 10 * major + minor.
bool gives_code(const std::string& entry, int capability) {
  int built = 0;
  const auto [end, status] = std::from_chars(entry.data(), entry.data() + entry.size(), built);
  if (status != std::errc{}) return true;  // native, all, all-major: unknown, assume that it matches
  const std::string rest(end, entry.data() + entry.size());
  const bool ptx = rest.empty() || rest == "-virtual", machine_code = rest.empty() || rest == "-real";
  if (!ptx && !machine_code) return built == capability;  // 90a: only for that chip
  return (machine_code && built / 10 == capability / 10 && built <= capability) ||
         (ptx && built <= capability);
}

}  // namespace

std::string driver_obstacle(int driver_version, int runtime_version) {
  if (driver_version == 0) return "no NVIDIA driver on this machine";
  if (driver_version / 1000 >= runtime_version / 1000) return "";
  const int needed = runtime_version / 1000;
  const std::string release = first_driver_release(needed);
  return fmt::format(
      "the NVIDIA driver supports CUDA {} and this build needs {}: update the driver{}, or build with the "
      "CUDA "
      "{} Toolkit",
      cuda_version(driver_version), cuda_version(runtime_version),
      release.empty() ? "" : " to " + release + " or newer", driver_version / 1000);
}

bool has_code_for(const std::string& architectures, int major, int minor) {
  std::istringstream entries(architectures);
  bool any = false;
  for (std::string entry; std::getline(entries, entry, ',');) {
    if (entry.empty()) continue;
    any = true;
    if (gives_code(entry, 10 * major + minor)) return true;
  }
  return !any;  // unknown: CUDA itself will report it
}

std::vector<std::string> gpu_problems(const DeviceReport& report, bool gpu_required) {
  std::vector<std::string> problems;
  const std::string obstacle = driver_obstacle(report.driver_version, report.runtime_version);
  const bool too_old = report.driver_version != 0 && !obstacle.empty();
  if (too_old)
    problems.push_back(obstacle);
  else if (report.gpus.empty() && gpu_required)
    problems.push_back("a GPU is requested, but there is none: " + report.reason +
                       "; run.device = \"cpu\" or \"auto\" does without");
  for (const GpuInfo& gpu : report.gpus)
    if (!has_code_for(report.architectures, gpu.compute_major, gpu.compute_minor))
      problems.push_back(fmt::format(
          "this build has no code for GPU {} ({}, compute {}.{}): configure it with "
          "-DCMAKE_CUDA_ARCHITECTURES={}{}",
          gpu.index, gpu.name, gpu.compute_major, gpu.compute_minor, gpu.compute_major, gpu.compute_minor));
  problems.insert(problems.end(), report.missing.begin(), report.missing.end());
  return problems;
}

std::string dotted_version(int64_t version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace lockstep
