#pragma once

#include <memory>

#include "comm/collectives/chunks.h"
#include "comm/collectives/communicator.h"

namespace lockstep {

struct MpiCommunicatorOptions {
  bool reproducible = false;
  int ranks_per_node = 0;  ///< see Collectives
  /// Runs collectives in a thread while the callers compute, because MPI makes progress only inside its
  /// calls. Otherwise start() returns when the collective is done.
  bool background = false;
  int64_t max_elements = kMaxMpiElements;  ///< per message, for tests
};

/// Collectives over MPI, in host memory. Collective.
std::unique_ptr<Communicator> make_mpi_communicator(const MpiCommunicatorOptions& options);

}  // namespace lockstep
