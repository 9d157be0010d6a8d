#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/measure/statistics.h"
#include "src/device/exec.h"

namespace lockstep {

/// What a model does with samples.
enum class Work { training, prediction };
std::string to_string(Work work);

/// Where it does it. threads: of the CPU; 0 on a GPU.
struct Place {
  Backend backend = Backend::cpu;
  int64_t threads = 0;

  bool operator==(const Place&) const = default;
};
/// "cuda", "cpu, 2 threads"
std::string to_string(const Place& place);

/// What `lockstep bench devices` measures: each place with each batch.
struct DevicePlan {
  std::vector<std::string> arguments;  ///< of bench step, except those that depend on the point
  std::vector<Place> places;
  std::vector<int64_t> batches;  ///< train.global_batch
  int64_t steps = 0, repeats = 0;
};

/// 1, 2, 4, ... and `most` itself.
std::vector<int64_t> powers_of_two_up_to(int64_t most);

/// One place with one batch, measured several times: the median and extremes over the runs.
struct DevicePoint {
  Work work = Work::training;
  Place place;
  int64_t batch = 0;         ///< samples per training step, or computed at a time in a prediction
  Spread ms, samples_per_s;  ///< ms: milliseconds per batch
  /// Median millijoules per sample; empty if unknown.
  std::optional<double> cpu_mj = {}, gpu_mj = {};
};

/// What the runs of a plan reported.
struct DeviceRuns {
  std::vector<DevicePoint> points;  ///< by work, then in the order of the plan
  int64_t parameters = 0;
  int64_t timed_steps = 0, warm_up_steps = 0;  ///< of each run
  /// Why the energy of the CPU packages, or of the GPU, is unknown; "" if it is known or not measured.
  std::string cpu_energy_reason, gpu_energy_reason;
};

/// Runs every place with every batch `repeats` times, each time in a process of its own, all of them once
/// before any a second time, and logs each run. If a run fails, throws Error with its message.
DeviceRuns run_devices(const DevicePlan& plan);

/// The point of the same work and batch on the CPU with the fewest threads, against which speed-up is; null
/// if there is none.
const DevicePoint* reference_of(const std::vector<DevicePoint>& points, const DevicePoint& point);

}  // namespace lockstep
