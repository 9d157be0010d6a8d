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
/// completes them.
struct Bucket {
  int64_t offset = 0;
  int64_t size = 0;
  bool operator==(const Bucket&) const = default;
};

/// Splits a flat buffer into buckets. ready_ends: the offsets at which a layer's gradients end, in the order
/// in which they are ready; the last is the buffer's length. The first bucket is small (1 MiB) so that
/// communication starts early; the others close at the first boundary past bucket_bytes.
std::vector<Bucket> make_buckets(std::span<const int64_t> ready_ends, int64_t bucket_bytes);

/// How gradients are reduced, and which ranks need the result.
struct GradientSums {
  Wire wire = Wire::fp32;
  bool sharded =
      false;  ///< each rank needs only its own slice of a bucket's sum (bucket_slice): reduce-scatter
  /// This many floats at the start of the flat buffer are not gradients: they are all-reduced in fp32, for
  /// every rank.
  int64_t head = 0;
};

/// The part of a bucket whose sum this rank receives if `sharded`, as a slice of the flat buffer.
Slice bucket_slice(const Communicator& communicator, const Bucket& bucket, int64_t head);

/// The number of buffers in which gradients of micro-batches are held at the same time, `total` included.
/// lanes: see GradientReducer.
int gradient_buffers(int micro_batches, int lanes);

/// Adds the gradients of this rank's micro-batches in one fixed binary tree, bucket by bucket, and starts a
/// bucket's all-reduce as soon as its root is complete, so that it overlaps backward.
/// The tree over all micro-batches of the global batch does not depend on the number of ranks: with M
/// micro-batches per rank, M = 2^a * odd, groups of `odd` adjacent leaves are added left to right, and groups
/// are added pairwise. With R = 2^k ranks dividing the global count, each rank holds a whole subtree, and
/// Communicator's reproducible all-reduce adds the rest.
///
/// Threads: begin(), leaf() and bucket_ready() may be called from several lanes at once, each with its own
/// micro-batch.
class GradientReducer {
 public:
  /// total: the flat gradient buffer, which receives the sum, in the backend's memory; ends with the last
  /// bucket. lanes: how many micro-batches are computed at the same time.
  GradientReducer(Exec exec, Communicator& communicator, std::span<float> total, std::vector<Bucket> buckets,
                  int micro_batches, int lanes, const GradientSums& sums = {});
  ~GradientReducer();

  /// Resets the state of the last step. Called once before the micro-batches of a step start.
  void begin();
  /// The buffer for micro-batch m's gradients: as long as `total` (for micro-batch 0, total itself), with old
  /// contents. Micro-batches start in increasing order over all lanes; blocks until all lower ones have
  /// started and a buffer is free.
  std::span<float> leaf(int micro_batch);
  /// Reports that micro-batch m's gradients of this bucket are complete (enqueued). Called for each bucket in
  /// order.
  void bucket_ready(Exec exec, int micro_batch, int bucket);
  /// Work enqueued on `exec` after this call sees the sums over all ranks in `total`; if sharded, only in
  /// this rank's slices, and the rest is undefined.
  void finish(Exec exec);
  /// Reports that a lane failed with `cause`: leaf() rethrows it on the other lanes instead of waiting for
  /// that lane's micro-batch, until the next begin().
  void cancel(const std::exception_ptr& cause) noexcept;

  const std::vector<Bucket>& buckets() const;
  /// Bytes of device memory besides `total`.
  size_t bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lockstep
