#include "src/train/run/machine_memory.h"

#include "comm/collectives/shared_memory.h"

namespace lockstep {

MachineMemory machine_memory(World& world) {
  return {.rank = world.local_rank(),
          .ranks = world.local_size(),
          .allocate = [&world](size_t bytes) { return share_memory(world, bytes); },
          .wait_for_all = [&world] { world.barrier(); },
          .of_world = ranks_of_machine(world)};
}

}  // namespace lockstep
