#pragma once

#include <memory>

#include "comm/collectives/communicator.h"

namespace lockstep {

/// Collectives of GPU memory through host memory and MPI, for machines where NCCL cannot be used. On the
/// context's communication stream: start() and wait() only enqueue, and may be captured in a CUDA graph. A
/// collective of the MPI library runs in a thread of its own, for which a host function on the stream waits:
/// an MPI library that knows CUDA calls it, which no host function may. What it throws, check() throws.
/// Collective. Outlives every graph that captured one of its collectives.
std::unique_ptr<Communicator> make_staged_communicator(CudaContext& context, bool reproducible,
                                                       int ranks_per_node);

}  // namespace lockstep
