#include "io/dataset/order/length_order.h"

#include <algorithm>
#include <utility>

#include "io/dataset/order/permutation.h"
#include "src/core/error.h"
#include "src/core/rng.h"

namespace lockstep {

namespace {

uint64_t key_for(uint64_t key, uint64_t number) {
  const Random4 words = philox(key, number, 0);
  return uint64_t{words.word[0]} << 32 | words.word[1];
}

}  // namespace

LengthOrder::LengthOrder(const std::vector<int64_t>& lengths, std::vector<int64_t> bounds, int64_t batch)
    : bounds_(std::move(bounds)), first_(bounds_.size() + 1), samples_(lengths.size()), batch_(batch) {
  std::vector<size_t> buckets(lengths.size());
  for (size_t i = 0; i < lengths.size(); ++i) {
    const auto bound = std::lower_bound(bounds_.begin(), bounds_.end(), lengths[i]);
    INVARIANT(bound != bounds_.end(), "sample {} has {} positions, above all bounds", i, lengths[i]);
    buckets[i] = static_cast<size_t>(bound - bounds_.begin());
    ++first_[buckets[i] + 1];
    positions_ += lengths[i];
  }
  for (size_t bucket = 1; bucket < first_.size(); ++bucket) first_[bucket] += first_[bucket - 1];
  std::vector<int64_t> next = first_;
  for (size_t i = 0; i < lengths.size(); ++i)
    samples_[static_cast<size_t>(next[buckets[i]]++)] = static_cast<int64_t>(i);
}

int64_t LengthOrder::batch_of(uint64_t key, int64_t step) const {
  const int64_t whole = static_cast<int64_t>(samples_.size()) / batch_;
  if (step >= whole) return step;
  const Permutation permutation(key_for(key, bounds_.size()), static_cast<uint64_t>(whole));
  return static_cast<int64_t>(permutation(static_cast<uint64_t>(step)));
}

size_t LengthOrder::bucket_of(int64_t position) const {
  return static_cast<size_t>(std::upper_bound(first_.begin(), first_.end(), position) - first_.begin() - 1);
}

size_t LengthOrder::bucket_of_batch(int64_t batch) const {
  return bucket_of(std::min((batch + 1) * batch_, static_cast<int64_t>(samples_.size())) - 1);
}

int64_t LengthOrder::sample(uint64_t key, int64_t step, int64_t slot) const {
  const int64_t position = batch_of(key, step) * batch_ + slot;
  const size_t bucket = bucket_of(position);
  const int64_t first = first_[bucket], count = first_[bucket + 1] - first;
  const Permutation permutation(key_for(key, bucket), static_cast<uint64_t>(count));
  const auto at = permutation(static_cast<uint64_t>(position - first));
  return samples_[static_cast<size_t>(first) + static_cast<size_t>(at)];
}

int64_t LengthOrder::length(uint64_t key, int64_t step) const {
  return bounds_[bucket_of_batch(batch_of(key, step))];
}

std::vector<int64_t> LengthOrder::batches() const {
  std::vector<int64_t> batches(bounds_.size());
  for (int64_t batch = 0; batch < steps(); ++batch) ++batches[bucket_of_batch(batch)];
  return batches;
}

double LengthOrder::padding() const {
  const auto size = static_cast<int64_t>(samples_.size());
  double padded = 0;
  for (int64_t batch = 0; batch < steps(); ++batch) {
    const int64_t samples = std::min(batch_, size - batch * batch_);
    padded += static_cast<double>(samples) * static_cast<double>(bounds_[bucket_of_batch(batch)]);
  }
  return 1 - static_cast<double>(positions_) / padded;
}

double LengthOrder::padding_to_last() const {
  return 1 - static_cast<double>(positions_) /
                 (static_cast<double>(samples_.size()) * static_cast<double>(bounds_.back()));
}

}  // namespace lockstep
