#include "src/train/step/sharding.h"

#include <algorithm>

#include "src/core/activity.h"
#include "src/core/error.h"

namespace lockstep {

Sharding::Sharding(Exec exec, Communicator& communicator, const ParameterLayout& layout, int64_t bucket_bytes)
    : exec_(exec), communicator_(communicator), buckets_(make_buckets(layout.ready_ends, bucket_bytes)) {
  const int64_t head = layout.gradients_offset();
  for (const Bucket& bucket : buckets_) {
    const int64_t start = std::max(bucket.offset, head), end = bucket.offset + bucket.size;
    if (end <= start) continue;
    const Slice slice = bucket_slice(communicator, bucket, head);
    weights_.push_back({start - head, end - start});
    mine_.push_back({slice.offset - head, slice.size});
  }
}

OptimizerShare Sharding::optimizer_share() const {
  const int ranks = communicator_.size();
  const Slice slot = communicator_.slice(ranks * kFlatBlock);
  INVARIANT(slot.size == kFlatBlock, "a slice of {} floats for {}", slot.size, kFlatBlock);
  return {.ranges = mine_,
          .ranks = ranks,
          .slot = static_cast<int>(slot.offset / kFlatBlock),
          .gather = [exec = exec_, &communicator = communicator_](std::span<float> data) {
            const CollectiveScope waiting;
            communicator.start_all_gather(exec, data);
            communicator.wait(exec);
          }};
}

void Sharding::gather(std::span<float> flat) const {
  const CollectiveScope waiting;
  for (const Bucket& bucket : weights_)
    communicator_.start_all_gather(
        exec_, flat.subspan(static_cast<size_t>(bucket.offset), static_cast<size_t>(bucket.size)));
  communicator_.wait(exec_);
}

void Sharding::gather(std::span<const float> state, std::span<float> flat) const {
  const float* part = state.data();
  for (const OptimizerShare::Range& range : mine_) {
    copy(exec_, flat.data() + range.offset, part, static_cast<size_t>(range.size) * sizeof(float));
    part += range.size;
  }
  gather(flat);
}

void Sharding::take(std::span<const float> flat, std::span<float> state) const {
  float* part = state.data();
  for (const OptimizerShare::Range& range : mine_) {
    copy(exec_, part, flat.data() + range.offset, static_cast<size_t>(range.size) * sizeof(float));
    part += range.size;
  }
}

}  // namespace lockstep
