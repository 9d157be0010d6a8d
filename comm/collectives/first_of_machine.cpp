#include "comm/collectives/first_of_machine.h"

#include "comm/collectives/shared_memory.h"

namespace lockstep {

FirstOfMachine::FirstOfMachine(const World& world) : page_(share_memory(world, sizeof(own_))) {
  if (page_) taken_ = reinterpret_cast<std::atomic<bool>*>(page_.get());
}

}  // namespace lockstep
