#pragma once

#include <string>

#include "comm/collectives/world.h"
#include "src/device/device.h"

namespace lockstep {

/// Collective. A GPU of its own for each rank, or the CPU for all: `wanted` is auto, cpu or cuda. auto takes
/// the CPU when a rank would go without a GPU, and says why in one line. Throws
/// Error(usage) when cuda is wanted and that is so.
Device choose_device(World& world, const std::string& wanted);

}  // namespace lockstep
