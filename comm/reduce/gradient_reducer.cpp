#include "comm/reduce/gradient_reducer.h"

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <mutex>

#include "src/core/activity.h"
#include "src/core/error.h"
#include "src/device/elementwise.h"

namespace lockstep {

namespace {

/// The fixed tree over one rank's micro-batches. A node is identified by its first leaf and its number of
/// leaves; its sum is stored in the first leaf's buffer.
struct Tree {
  int leaves;
  int group;  ///< the odd part of `leaves`: groups of this many are added left to right, then the groups
              ///< pairwise

  explicit Tree(int count) : leaves(count), group(count >> std::countr_zero(static_cast<unsigned>(count))) {}

  struct Merge {
    int left, left_leaves;
    int right, right_leaves;
  };
  /// The next addition that involves the node (first, count), which is not the root.
  Merge next(int first, int count) const {
    if (count < group) {
      const int start = first - first % group;
      return first == start ? Merge{start, count, start + count, 1} : Merge{start, first - start, first, 1};
    }
    const bool is_left = first / count % 2 == 0;
    return is_left ? Merge{first, count, first + count, count} : Merge{first - count, count, first, count};
  }

  /// The maximum number of sums waiting for a sibling when the first micro-batches, however many, are done
  /// and none is being computed: one per level of pairs, and one unfinished group.
  int max_waiting() const {
    const int levels = std::countr_zero(static_cast<unsigned>(leaves));
    return levels + (group > 1 ? 1 : 0);
  }
};

/// How many floats of a bucket belong to the head of the flat buffer.
int64_t head_of(const Bucket& bucket, int64_t head) {
  return std::clamp<int64_t>(head - bucket.offset, 0, bucket.size);
}

}  // namespace

int gradient_buffers(int micro_batches, int lanes) {
  // When all started micro-batches are done, `lanes` buffers are free, so leaf() cannot deadlock.
  return std::min(micro_batches, Tree(micro_batches).max_waiting() + lanes);
}

Slice bucket_slice(const Communicator& communicator, const Bucket& bucket, int64_t head) {
  const int64_t skipped = head_of(bucket, head);
  const Slice slice = communicator.slice(bucket.size - skipped);
  return {bucket.offset + skipped + slice.offset, slice.size};
}

struct GradientReducer::Impl {
  Impl(Exec exec, Communicator& communicator_, std::span<float> total_, std::vector<Bucket> buckets_,
       int micro_batches, int lanes, const GradientSums& sums_)
      : communicator(communicator_),
        total(total_),
        buckets(std::move(buckets_)),
        sums(sums_),
        tree(micro_batches) {
    for (int i = gradient_buffers(micro_batches, lanes); i > 1; --i)
      pool.emplace_back(exec, Memory::device, total.size_bytes());
    int64_t longest = 0;
    for (const Bucket& bucket : buckets) longest = std::max(longest, bucket.size);
    communicator.prepare(total, longest);
    begin();
  }

  void begin() {
    const std::scoped_lock lock(mutex);
    next_leaf = 0;
    cancelled = nullptr;
    free.clear();
    for (const Buffer& buffer : pool) free.push_back(buffer.as<float>());
    leaf_buffer.assign(static_cast<size_t>(tree.leaves), {});
    absorbed.assign(static_cast<size_t>(tree.leaves), 0);
    summed.assign(buckets.size() * static_cast<size_t>(tree.leaves), 0);
    complete.assign(buckets.size(), false);
    next_bucket = 0;
    starting = false;
  }

  std::span<float> leaf(int micro_batch) {
    std::unique_lock lock(mutex);
    INVARIANT(micro_batch >= next_leaf && micro_batch < tree.leaves,
              "micro-batch {} started twice or unknown", micro_batch);
    changed.wait(lock, [&] {
      return cancelled ||
             (micro_batch == next_leaf && (micro_batch == 0 || buckets.empty() || !free.empty()));
    });
    if (cancelled) std::rethrow_exception(cancelled);
    std::span<float> buffer = total;
    if (micro_batch > 0 && !buckets.empty()) {
      buffer = free.back();
      free.pop_back();
    }
    leaf_buffer[static_cast<size_t>(micro_batch)] = buffer;
    ++next_leaf;
    changed.notify_all();
    return buffer;
  }

  /// The number of leaves in this bucket's sum that starts at this leaf; 0: no such sum, or it is being
  /// added.
  int& leaves_at(int bucket, int first) {
    return summed[static_cast<size_t>(bucket) * static_cast<size_t>(tree.leaves) +
                  static_cast<size_t>(first)];
  }

  std::span<float> slice(int first, int bucket) const {
    const Bucket& b = buckets[static_cast<size_t>(bucket)];
    return leaf_buffer[static_cast<size_t>(first)].subspan(static_cast<size_t>(b.offset),
                                                           static_cast<size_t>(b.size));
  }

  void bucket_ready(Exec exec, int micro_batch, int bucket) {
    std::unique_lock lock(mutex);
    INVARIANT(micro_batch < next_leaf && leaves_at(bucket, micro_batch) == 0,
              "bucket {} of micro-batch {} is ready twice or before its start", bucket, micro_batch);
    int first = micro_batch, count = 1;
    leaves_at(bucket, first) = count;
    while (count < tree.leaves) {
      const Tree::Merge merge = tree.next(first, count);
      int& left = leaves_at(bucket, merge.left);
      int& right = leaves_at(bucket, merge.right);
      // Whichever sibling finishes second does the addition, so no lane waits for a sibling.
      if (left != merge.left_leaves || right != merge.right_leaves) return;
      left = right = 0;
      const std::span<float> destination = slice(merge.left, bucket), source = slice(merge.right, bucket);
      lock.unlock();
      add_in_place(exec, destination.data(), source.data(), static_cast<int64_t>(source.size()));
      lock.lock();
      release(merge.right);
      first = merge.left;
      count = merge.left_leaves + merge.right_leaves;
      leaves_at(bucket, first) = count;
    }
    complete[static_cast<size_t>(bucket)] = true;
    start_complete_buckets(exec, lock);
  }

  /// Records that another bucket of this leaf's buffer has been added to its left sibling.
  void release(int first) {
    const auto leaf = static_cast<size_t>(first);
    if (++absorbed[leaf] < static_cast<int>(buckets.size())) return;
    free.push_back(leaf_buffer[leaf]);
    changed.notify_all();
  }

  /// Every rank must start the buckets in the same order, whatever the order in which its lanes complete
  /// them.
  void start_complete_buckets(Exec exec, std::unique_lock<std::mutex>& lock) {
    if (starting) return;  // that lane checks again before it returns
    starting = true;
    while (next_bucket < buckets.size() && complete[next_bucket]) {
      const Bucket& bucket = buckets[next_bucket];
      const bool last = next_bucket + 1 == buckets.size();
      lock.unlock();
      start_bucket(exec, bucket, /*awaited=*/last);
      lock.lock();
      ++next_bucket;
    }
    starting = false;
  }

  void start_bucket(Exec exec, const Bucket& bucket, bool awaited) {
    using Kind = Collective::Kind;
    const CollectiveScope scope(&bucket - buckets.data());
    const std::span<float> all =
        total.subspan(static_cast<size_t>(bucket.offset), static_cast<size_t>(bucket.size));
    if (sums.wire == Wire::fp32 && !sums.sharded)
      return communicator.start(exec, {Kind::all_reduce, all, Wire::fp32, awaited});
    const auto head = static_cast<size_t>(head_of(bucket, sums.head));
    if (head > 0) communicator.start(exec, {Kind::all_reduce, all.first(head), Wire::fp32, awaited});
    communicator.start(exec, {sums.sharded ? Kind::reduce_scatter : Kind::all_reduce, all.subspan(head),
                              sums.wire, awaited});
  }

  void finish(Exec exec) {
    {
      const std::scoped_lock lock(mutex);
      INVARIANT(next_bucket == buckets.size(), "only {} of {} buckets are complete", next_bucket,
                buckets.size());
    }
    const CollectiveScope scope(static_cast<int64_t>(next_bucket) - 1);
    communicator.wait(exec);
  }

  void cancel(const std::exception_ptr& cause) {
    const std::scoped_lock lock(mutex);
    if (!cancelled) cancelled = cause;
    changed.notify_all();
  }

  Communicator& communicator;
  const std::span<float> total;
  const std::vector<Bucket> buckets;
  const GradientSums sums;
  const Tree tree;
  std::vector<Buffer> pool;  ///< of total's length each

  std::mutex mutex;                 // guards everything below
  std::condition_variable changed;  ///< a buffer is free, a micro-batch has started, or the step is cancelled
  int next_leaf = 0;                ///< the next micro-batch to start
  std::exception_ptr cancelled;     ///< the cause, if the step is cancelled
  std::vector<std::span<float>> free;         ///< buffers of the pool
  std::vector<std::span<float>> leaf_buffer;  ///< by micro-batch
  std::vector<int> absorbed;                  ///< by micro-batch: buckets added to a left sibling
  std::vector<int> summed;                    ///< (bucket, micro-batch): see leaves_at()
  std::vector<bool> complete;                 ///< by bucket: this rank's sum is in total
  size_t next_bucket = 0;                     ///< the next bucket to start
  bool starting = false;                      ///< a lane is in start_complete_buckets()
};

GradientReducer::GradientReducer(Exec exec, Communicator& communicator, std::span<float> total,
                                 std::vector<Bucket> buckets, int micro_batches, int lanes,
                                 const GradientSums& sums) {
  INVARIANT(micro_batches > 0 && lanes > 0, "{} micro-batches on {} lanes", micro_batches, lanes);
  impl_ = std::make_unique<Impl>(exec, communicator, total, std::move(buckets), micro_batches, lanes, sums);
}
GradientReducer::~GradientReducer() = default;

void GradientReducer::begin() { impl_->begin(); }
std::span<float> GradientReducer::leaf(int micro_batch) { return impl_->leaf(micro_batch); }
void GradientReducer::bucket_ready(Exec exec, int micro_batch, int bucket) {
  impl_->bucket_ready(exec, micro_batch, bucket);
}
void GradientReducer::finish(Exec exec) { impl_->finish(exec); }
void GradientReducer::cancel(const std::exception_ptr& cause) noexcept { impl_->cancel(cause); }

const std::vector<Bucket>& GradientReducer::buckets() const { return impl_->buckets; }
size_t GradientReducer::bytes() const {
  size_t bytes = 0;
  for (const Buffer& buffer : impl_->pool) bytes += buffer.size();
  return bytes;
}

}  // namespace lockstep
