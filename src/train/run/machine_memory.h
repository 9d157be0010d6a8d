#pragma once

#include "comm/collectives/world.h"
#include "io/dataset/machine_memory.h"

namespace lockstep {

/// Collective. The memory of this rank's machine. `world` must outlive it.
MachineMemory machine_memory(World& world);

}  // namespace lockstep
