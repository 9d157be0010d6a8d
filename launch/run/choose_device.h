#pragma once

#include "comm/collectives/world.h"
#include "src/device/device.h"
#include "src/train/run/options.h"

namespace lockstep {

/// Collective. Selects a GPU for each rank, or the CPU for all. If a rank would be without a GPU of its own,
/// auto selects the CPU and prints the reason in one line, and cuda throws Error(usage).
Device choose_device(World& world, DeviceChoice wanted);

}  // namespace lockstep
