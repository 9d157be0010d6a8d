#pragma once

#include <memory>

#include "comm/communicator.h"

namespace lockstep {

/// Sums over NCCL, in GPU memory, on the context's communication stream: start_sum() and wait() only enqueue,
/// order the two streams by events, and may be captured in a CUDA graph. Collective; blocks until every rank
/// is connected. Throws Error(usage) when two ranks were given the same GPU. Outlives every graph that
/// captured one of its sums: its destructor would wait for them for ever.
std::unique_ptr<Communicator> make_nccl_communicator(World& world, CudaContext& context, bool reproducible);

}  // namespace lockstep
