#pragma once

#include <string>

#include "comm/collectives/world.h"
#include "src/device/device.h"

namespace lockstep {

/// Collective. Selects a GPU for each rank, or the CPU for all; `wanted` is auto, cpu or cuda. If a rank
/// would be without a GPU of its own, auto selects the CPU and prints the reason in one line, and cuda throws
/// Error(usage).
Device choose_device(World& world, const std::string& wanted);

}  // namespace lockstep
