#pragma once

#include <memory>

#include "comm/chunks.h"
#include "comm/communicator.h"

namespace lockstep {

/// Sums over MPI, in host memory. start_sum() does the whole sum before it returns: MPI makes progress only
/// inside its calls, so a sum left for later would only be done later. most_elements: the longest single
/// message, for tests.
std::unique_ptr<Communicator> make_mpi_communicator(bool reproducible,
                                                    int64_t most_elements = kMostMpiElements);

}  // namespace lockstep
