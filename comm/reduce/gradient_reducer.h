#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"
#include "src/device/buffer.h"

namespace lockstep {

/// A contiguous slice of the flat gradient buffer, in floats. Buckets are in the order in which backward
/// finishes them.
struct Bucket {
  int64_t offset = 0;
  int64_t size = 0;
  bool operator==(const Bucket&) const = default;
};

/// Cuts a flat buffer into buckets. ready_ends are the offsets at which a layer's gradients end, in ready
/// order; the last is the buffer's length. The first bucket is small (1 MiB) so that communication starts
/// early; the others close at the first boundary past bucket_bytes.
std::vector<Bucket> make_buckets(std::span<const int64_t> ready_ends, int64_t bucket_bytes);

/// How sums of gradients travel and where they are needed.
struct GradientSums {
  Wire wire = Wire::fp32;
  bool sharded = false;  ///< each rank needs the sum of its own slice of a bucket only (bucket_slice)
  /// So many floats at the start of the flat buffer are no gradients: every rank needs their sums as they
  /// are.
  int64_t head = 0;
};

/// The part of a bucket whose sum this rank gets when sums are sharded, as a part of the flat buffer.
Slice bucket_slice(const Communicator& communicator, const Bucket& bucket, int64_t head);

/// Adds the gradients of this rank's micro-batches in one fixed binary tree, bucket by bucket, and starts a
/// bucket's sum over the ranks as soon as its root is complete, while backward goes on.
///
/// The tree over all micro-batches of the global batch does not depend on the number of ranks: with M
/// micro-batches a rank, M = 2^a * odd, leaves are grouped by `odd` neighbours added left to right, and
/// groups are added pairwise. With R = 2^k ranks dividing the global count, each rank holds a whole subtree,
/// and Communicator's reproducible sum adds the rest.
///
/// Threads: begin(), leaf() and bucket_ready() may be called from several lanes at once, each with its own
/// micro-batch.
class GradientReducer {
 public:
  /// total (of the last bucket's end) receives the sum; it is the flat gradient buffer in the backend's
  /// memory. lanes: how many micro-batches are computed at the same time.
  GradientReducer(Exec exec, Communicator& communicator, std::span<float> total, std::vector<Bucket> buckets,
                  int micro_batches, int lanes, const GradientSums& sums = {});
  ~GradientReducer();

  /// Forgets the last step. Called once before the micro-batches of a step start.
  void begin();
  /// Where micro-batch m writes its gradients: a buffer as long as `total` (for micro-batch 0, total itself),
  /// which still holds old values. Micro-batches are started in increasing order over all lanes; blocks while
  /// a lower one has not started or no buffer is free.
  std::span<float> leaf(int micro_batch);
  /// Micro-batch m's gradients of this bucket are complete (enqueued). Called for each bucket in order.
  void bucket_ready(Exec exec, int micro_batch, int bucket);
  /// What is enqueued on `exec` from here on sees the sums over all ranks in `total`; of sharded ones, this
  /// rank's slices, and anything elsewhere.
  void finish(Exec exec);
  /// A lane failed with `cause` and its micro-batch will never come: leaf() throws the same on the other
  /// lanes instead of waiting for it, until the next begin().
  void cancel(const std::exception_ptr& cause) noexcept;

  const std::vector<Bucket>& buckets() const;
  /// Device bytes held besides `total`.
  size_t bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
