#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep {

/// An order in which the samples of a batch have similar lengths, so that little of it is padding. Samples
/// fall into buckets, by the smallest of several lengths that holds them. Those of a bucket are permuted by
/// the key and cut into batches; what is left over goes first in the next bucket, so that only the last batch
/// of an epoch may be shorter. The batches are permuted by the key, too.
///
/// The sample of a slot is found in O(log buckets) time, with 8 bytes of memory for each sample.
class LengthOrder {
 public:
  /// lengths: of each sample. bounds: ascending, the last one at least the longest of `lengths`. batch: its
  /// samples.
  LengthOrder(const std::vector<int64_t>& lengths, std::vector<int64_t> bounds, int64_t batch);

  /// key: random bits of the epoch. The slot of the last, shorter batch must be below its number of samples.
  int64_t sample(uint64_t key, int64_t step, int64_t slot) const;
  /// The bound to which all samples of a step are padded.
  int64_t length(uint64_t key, int64_t step) const;

  /// The bounds, and of each the batches of an epoch that are padded to it.
  const std::vector<int64_t>& bounds() const { return bounds_; }
  std::vector<int64_t> batches() const;
  /// The share of an epoch's positions that is padding, and what it would be if all samples were padded to
  /// the last bound.
  double padding() const;
  double padding_to_last() const;

 private:
  int64_t steps() const { return (static_cast<int64_t>(samples_.size()) + batch_ - 1) / batch_; }
  /// The batch, in the order of buckets, that is computed in a step.
  int64_t batch_of(uint64_t key, int64_t step) const;
  /// The bucket of a position in that order.
  size_t bucket_of(int64_t position) const;
  size_t bucket_of_batch(int64_t batch) const;

  std::vector<int64_t> bounds_;
  std::vector<int64_t> first_;    ///< of each bucket in samples_, and behind the last
  std::vector<int64_t> samples_;  ///< by bucket, in stored order
  int64_t batch_;
  int64_t positions_ = 0;  ///< without padding
};

}  // namespace lockstep
