#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "src/device/gpu_energy.h"

namespace lockstep {

/// The energy counters of this machine's CPU packages (RAPL, by Linux's powercap), which count all processes.
class PackageEnergy {
 public:
  explicit PackageEnergy(const std::filesystem::path& powercap = "/sys/class/powercap");

  /// Joules since the previous call, or since construction; empty if unknown. Counters wrap around within
  /// minutes of full load: calls must be closer together than that.
  std::optional<double> take();
  /// Why it is unknown; "" if it is known.
  const std::string& reason() const { return reason_; }

 private:
  struct Counter {
    std::filesystem::path file;
    int64_t range = 0, last = 0;  ///< microjoules: the counter starts again at zero after `range`
  };
  /// The counter's value, in microjoules. Sets reason_ if it cannot be read.
  int64_t read(const std::filesystem::path& file);

  std::vector<Counter> counters_;
  std::string reason_;
};

/// Measured energy, in joules; empty if unknown.
struct Energy {
  std::optional<double> cpu;  ///< of the CPU packages
  std::optional<double> gpu;  ///< of the GPU's board
};

/// Measures the energy of a stretch of work on a device.
class EnergyMeter {
 public:
  /// bus_id: of the GPU that computes; "": none does.
  explicit EnergyMeter(const std::string& bus_id);

  void start();
  /// Between parts of the work that take less than a few minutes, and after the last.
  void lap();
  /// From start() to the last lap().
  Energy energy() const { return energy_; }
  /// Why that of the CPU or of the GPU is unknown; "" if it is known or no GPU computes.
  const std::string& cpu_reason() const { return packages_.reason(); }
  std::string gpu_reason() const;

 private:
  PackageEnergy packages_;
  std::optional<GpuEnergy> gpu_;
  std::optional<double> gpu_start_;
  Energy energy_;
};

}  // namespace lockstep
