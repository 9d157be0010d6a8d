#include "src/train/step/sharding.h"

#include <algorithm>

#include "src/core/activity.h"
#include "src/core/error.h"
#include "src/ops/flat_blocks.h"

namespace lockstep {

namespace {

/// Whether layers read a block of the trained weights in fp32.
bool is_read_as_f32(const ParameterLayout& layout, int64_t block) {
  const FlatBlock& described = layout.blocks[static_cast<size_t>(block)];
  return layout.parameters[static_cast<size_t>(described.parameter)].read_as_f32;
}

template <typename T>
std::span<T> part_of(std::span<T> data, int64_t offset, int64_t size) {
  return data.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
}

}  // namespace

Sharding::Sharding(Exec exec, Communicator& communicator, const ParameterLayout& layout, int64_t bucket_bytes)
    : exec_(exec),
      communicator_(communicator),
      buckets_(make_buckets(layout.ready_ends, bucket_bytes)),
      working_type_(layout.working_type) {
  const int64_t head = layout.gradients_offset();
  for (const Bucket& bucket : buckets_) {
    const int64_t start = std::max(bucket.offset, head), end = bucket.offset + bucket.size;
    if (end <= start) continue;
    const Slice slice = bucket_slice(communicator, bucket, head);
    weights_.push_back({start - head, end - start});
    mine_.push_back({slice.offset - head, slice.size});
  }
  if (gathers_working_copy()) pack_weights_read_as_f32(layout);
}

int Sharding::slot_of(int rank) const {
  const Slice slot = communicator_.slice_of(rank, communicator_.size() * kFlatBlock);
  INVARIANT(slot.size == kFlatBlock, "a slice of {} floats for {}", slot.size, kFlatBlock);
  return static_cast<int>(slot.offset / kFlatBlock);
}

void Sharding::pack_weights_read_as_f32(const ParameterLayout& layout) {
  std::vector<std::vector<int32_t>> of_slot(static_cast<size_t>(communicator_.size()));
  size_t most = 0;
  for (int rank = 0; rank < communicator_.size(); ++rank) {
    std::vector<int32_t>& blocks = of_slot[static_cast<size_t>(slot_of(rank))];
    for (const Bucket& bucket : weights_) {
      const Slice slice = communicator_.slice_of(rank, bucket.size);
      const int64_t first = (bucket.offset + slice.offset) / kFlatBlock;
      for (int64_t block = first; block < first + slice.size / kFlatBlock; ++block)
        if (is_read_as_f32(layout, block)) blocks.push_back(static_cast<int32_t>(block));
    }
    most = std::max(most, blocks.size());
  }
  std::vector<int32_t> all;
  for (std::vector<int32_t>& blocks : of_slot) {
    blocks.resize(most, -1);
    all.insert(all.end(), blocks.begin(), blocks.end());
  }
  packed_blocks_ = upload(exec_, all);
  packed_ = Buffer(exec_, Memory::device, all.size() * kFlatBlock * sizeof(float));
}

OptimizerShare Sharding::optimizer_share() const {
  return {.ranges = mine_,
          .ranks = communicator_.size(),
          .slot = slot_of(communicator_.rank()),
          .gather = [exec = exec_, &communicator = communicator_](std::span<float> data) {
            const CollectiveScope waiting;
            communicator.start_all_gather(exec, data);
            communicator.wait(exec);
          }};
}

template <typename T>
void Sharding::start_gathering(std::span<T> flat) const {
  for (const Bucket& bucket : weights_)
    communicator_.start_all_gather(exec_, part_of(flat, bucket.offset, bucket.size));
}

void Sharding::gather_update(const Parameters& parameters) const {
  if (!gathers_working_copy()) return gather(parameters.weights());
  const CollectiveScope waiting;
  const std::span<const int32_t> blocks = packed_blocks_.as<int32_t>();
  const std::span<float> packed = packed_.as<float>();
  const auto own = static_cast<int64_t>(blocks.size()) / communicator_.size();
  const int64_t first = own * slot_of(communicator_.rank());
  take_blocks(exec_, parameters.weights(), part_of(blocks, first, own),
              part_of(packed, first * kFlatBlock, own * kFlatBlock));
  communicator_.start_all_gather(exec_, packed);
  const Tensor working = parameters.working_weights();
  start_gathering(std::span(static_cast<uint16_t*>(working.raw()), static_cast<size_t>(working.elements())));
  communicator_.wait(exec_);
  put_blocks(exec_, packed, blocks, parameters.weights());
}

void Sharding::gather_weights(Parameters& parameters) const {
  if (parameters.has_whole_weights()) return;
  gather(parameters.weights());
  parameters.set_whole_weights(true);
}

void Sharding::gather(std::span<float> flat) const {
  const CollectiveScope waiting;
  start_gathering(flat);
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

int64_t sharding_bytes(const ParameterLayout& layout, int ranks) {
  if (layout.working_type == DType::f32) return 0;
  int64_t blocks = 0;
  for (int64_t block = 0; block < static_cast<int64_t>(layout.blocks.size()); ++block)
    blocks += is_read_as_f32(layout, block) ? 1 : 0;
  const int64_t of_rank = (blocks + ranks - 1) / ranks;
  return ranks * of_rank * static_cast<int64_t>(kFlatBlock * sizeof(float) + sizeof(int32_t));
}

}  // namespace lockstep
