#pragma once

#include <memory>

#include "comm/collectives/communicator.h"

namespace lockstep {

/// Collectives on GPU memory through host memory and MPI, for machines where NCCL cannot be used. On the
/// context's communication stream: start() and wait() only enqueue, and may be captured in a CUDA graph. MPI
/// is called in a separate thread, for which a host function on the stream waits, because a CUDA-aware MPI
/// library calls CUDA, which a host function must not. check() rethrows what that thread throws. Collective.
/// Must outlive every graph that captured one of its collectives.
std::unique_ptr<Communicator> make_staged_communicator(CudaContext& context, bool reproducible,
                                                       int ranks_per_node);

}  // namespace lockstep
