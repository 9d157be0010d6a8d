#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace lockstep {

class World;

/// Collective. `bytes` of memory, at first zeros, that all ranks of a machine see; null on all of them if
/// they cannot share memory, or if there is only one. Freed with the last reference to it on the last rank.
std::shared_ptr<std::byte[]> share_memory(const World& world, size_t bytes);

/// Collective. The ranks of this rank's machine, in the order of World::local_rank().
std::vector<int> ranks_of_machine(const World& world);

}  // namespace lockstep
