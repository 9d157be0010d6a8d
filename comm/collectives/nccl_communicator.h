#pragma once

#include <memory>

#include "comm/collectives/communicator.h"

namespace lockstep {

/// Collectives over NCCL, in GPU memory, on the context's communication stream: start() and wait() only
/// enqueue, order the two streams by events, and may be captured in a CUDA graph. Collective; blocks until
/// every rank is connected. Throws Error(usage) if two ranks were given the same GPU. Must outlive every
/// graph that captured one of its collectives; otherwise its destructor would wait for them forever.
/// ranks_per_node: see Collectives.
std::unique_ptr<Communicator> make_nccl_communicator(World& world, CudaContext& context, bool reproducible,
                                                     int ranks_per_node);

}  // namespace lockstep
