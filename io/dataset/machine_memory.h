#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace lockstep {

/// The ranks of a machine, which hold a data set in memory once and read it together, or share what they keep
/// of it.
struct MachineMemory {
  int rank = 0, ranks = 1;  ///< of this machine
  /// Collective over all ranks of the run. Memory that the ranks of a machine share; null on all of them if
  /// they cannot.
  std::function<std::shared_ptr<std::byte[]>(size_t bytes)> allocate;
  /// Collective over all ranks of the run.
  std::function<void()> wait_for_all;
  std::vector<int> of_world = {};  ///< the ranks in the run of this machine's ranks; empty: 0, 1, ...
};

}  // namespace lockstep
