#pragma once

#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "src/device/device.h"
#include "src/train/run/options.h"

namespace lockstep {

/// "auto", "cpu", "cuda": the names of DeviceChoice, in its order.
const std::vector<std::string>& device_names();
/// One of these names.
DeviceChoice device_named(const std::string& name);

/// Collective. Selects a GPU for each rank, or the CPU for all. If a rank
/// would be without a GPU of its own, auto selects the CPU and prints the reason in one line, and cuda throws
/// Error(usage).
Device choose_device(World& world, DeviceChoice wanted);

}  // namespace lockstep
