#pragma once

#include <cstdint>

#include "comm/collectives/communicator.h"
#include "comm/collectives/world.h"
#include "comm/cost/cost_model.h"

namespace lockstep {

/// The longest all-reduce of measure_all_reduce(), in floats, for which the communicator keeps memory.
inline constexpr int64_t kMaxMeasuredFloats = int64_t{1} << 20;

/// The cost of an all-reduce with this communicator: the minimum time of several all-reduces of a few floats,
/// and of a few MiB, on the slowest rank. Takes some milliseconds; the same result on every rank. Collective;
/// blocks.
Link measure_all_reduce(World& world, Exec exec, Communicator& communicator);

/// The bucket size that minimizes the time of a step when all-reduces are the bottleneck: of total_bytes cut
/// into n buckets, each costs the latency once, and the last one overlaps nothing. n * latency + total_bytes
/// / n * seconds_per_byte is minimal for buckets of sqrt(total_bytes * latency / seconds_per_byte) bytes.
/// Rounded to a power of two, so that two runs on one machine choose the same, and at least 1 MiB, because
/// the measurement ignores the caller's cost per bucket.
int64_t choose_bucket_bytes(const Link& link, int64_t total_bytes);

}  // namespace lockstep
