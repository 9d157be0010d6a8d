#include "launch/measure/energy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace lockstep {

namespace {

namespace fs = std::filesystem;

/// "intel-rapl:0" is a package, or all of the machine; "intel-rapl:0:1" is a part of one.
bool is_package(const fs::path& zone) {
  const std::string name = zone.filename().string();
  if (!name.starts_with("intel-rapl:") || std::ranges::count(name, ':') != 1) return false;
  std::string kind;
  std::ifstream(zone / "name") >> kind;
  return kind.starts_with("package");
}

}  // namespace

PackageEnergy::PackageEnergy(const fs::path& powercap) {
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(powercap, missing)) {
    if (!is_package(entry.path())) continue;
    Counter counter{.file = entry.path() / "energy_uj"};
    std::ifstream(entry.path() / "max_energy_range_uj") >> counter.range;
    counter.last = read(counter.file);
    counters_.push_back(counter);
  }
  if (counters_.empty()) reason_ = fmt::format("{} has no intel-rapl:N of a CPU package", powercap.string());
}

int64_t PackageEnergy::read(const fs::path& file) {
  int64_t value = 0;
  errno = 0;
  std::ifstream in(file);
  if (in >> value) return value;
  reason_ = fmt::format("{}: {}", file.string(), errno != 0 ? std::strerror(errno) : "not a number");
  return 0;
}

std::optional<double> PackageEnergy::take() {
  int64_t microjoules = 0;
  for (Counter& counter : counters_) {
    const int64_t now = read(counter.file);
    microjoules += now >= counter.last ? now - counter.last : now - counter.last + counter.range;
    counter.last = now;
  }
  if (!reason_.empty()) return std::nullopt;
  return 1e-6 * static_cast<double>(microjoules);
}

EnergyMeter::EnergyMeter(const std::string& bus_id) {
  if (!bus_id.empty()) gpu_.emplace(bus_id);
}

void EnergyMeter::start() {
  energy_ = {};
  packages_.take();
  if (gpu_) gpu_start_ = gpu_->joules();
}

void EnergyMeter::lap() {
  const std::optional<double> more = packages_.take();
  energy_.cpu = more ? std::optional(energy_.cpu.value_or(0) + *more) : std::nullopt;
  if (!gpu_) return;
  const std::optional<double> now = gpu_->joules();
  // A counter that has not been updated since says nothing.
  energy_.gpu = now && gpu_start_ && *now > *gpu_start_ ? std::optional(*now - *gpu_start_) : std::nullopt;
}

std::string EnergyMeter::gpu_reason() const {
  if (!gpu_ || energy_.gpu) return "";
  return gpu_->reason().empty() ? "the run was too short for the GPU's counter" : gpu_->reason();
}

}  // namespace lockstep
