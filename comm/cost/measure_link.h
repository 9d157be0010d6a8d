#pragma once

#include <cstdint>

#include "comm/collectives/communicator.h"
#include "comm/collectives/world.h"
#include "comm/cost/cost_model.h"

namespace lockstep {

/// What a sum over the ranks costs with this communicator: the least time of a few sums of some floats, and
/// of a few MiB, on the slowest rank. Takes some milliseconds; the same on every rank. Collective; waits.
Link measure_sums(World& world, Exec exec, Communicator& communicator);

/// The size of buckets that lets a step end soonest when sums are the bottleneck: of total_bytes cut into n
/// buckets, each costs the latency once, and the last one travels alone. n * latency + total_bytes / n *
/// seconds_per_byte is least where a bucket has sqrt(total_bytes * latency / seconds_per_byte) bytes. The
/// nearest power of two, so that two runs on one machine choose the same, and at least 1 MiB: what a bucket
/// costs its caller is not in the measurement.
int64_t choose_bucket_bytes(const Link& sums, int64_t total_bytes);

}  // namespace lockstep
