#pragma once

#include <memory>

#include "comm/collectives/chunks.h"
#include "comm/collectives/communicator.h"

namespace lockstep {

struct MpiCommunicatorOptions {
  bool reproducible = false;
  int ranks_per_node = 0;  ///< see Collectives
  /// A thread runs collectives while the callers compute: MPI makes progress only inside its calls. Without
  /// it start() returns when the collective is done.
  bool background = false;
  int64_t most_elements = kMostMpiElements;  ///< of the longest single message, for tests
};

/// Collectives over MPI, in host memory. Collective.
std::unique_ptr<Communicator> make_mpi_communicator(const MpiCommunicatorOptions& options);

}  // namespace lockstep
