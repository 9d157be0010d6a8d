#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/devices/device_runs.h"
#include "launch/report/report.h"

namespace lockstep {

/// The result of `lockstep bench devices`.
struct DeviceResult {
  std::string model;           ///< its name, or that of its file
  std::vector<int64_t> input;  ///< the shape of a sample
  int64_t outputs = 0;         ///< classes
  std::string cpu;             ///< its name
  int64_t cores = 0;           ///< that this process may use
  std::string gpu;             ///< its name, or "none: " and the reason
  int64_t repeats = 0;         ///< runs of each point
  DeviceRuns runs;
};

/// Samples/s relative to reference_of(); empty if there is none.
std::optional<double> speed_up(const DeviceResult& result, const DevicePoint& point);

/// For people, in at most 80 columns.
void print_devices(const DeviceResult& result);
Json devices_json(const DeviceResult& result);
/// One line per point.
std::string devices_csv(const DeviceResult& result);
/// Two panels, training and prediction: samples/s of each device, with spread and speed-up, as an SVG plot.
std::string devices_plot(const DeviceResult& result);

}  // namespace lockstep
