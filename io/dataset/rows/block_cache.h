#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "io/dataset/machine_memory.h"
#include "io/dataset/reading_order.h"
#include "io/dataset/rows/cache/machine_lock.h"
#include "io/dataset/rows/cache/next_uses.h"
#include "io/dataset/rows/cache/slot_table.h"

namespace lockstep {

/// A cache of decoded blocks of rows, which the ranks of a machine share: its memory is what they may all
/// take together, and a block that several threads of any of them request at once is made once. It keeps the
/// blocks that will be used soonest, as far as a ReadingOrder tells, and otherwise those used last. A thread
/// that would wait makes the block that is missed next instead. Safe to use from several threads.
///
/// A rank that dies while it makes a block leaves those who wait for it waiting: the watchdog ends the run.
class BlockCache {
 public:
  /// A block that stays in the cache as long as this exists. A thread must not hold one while it gets
  /// another: all slots might be held by threads that wait for one.
  class Block {
   public:
    Block() = default;
    Block(Block&& other) noexcept : cache_(std::exchange(other.cache_, nullptr)), slot_(other.slot_) {}
    Block& operator=(Block&&) = delete;
    ~Block();
    explicit operator bool() const { return cache_ != nullptr; }
    const std::byte* data() const { return cache_->memory_of(slot_).data(); }

   private:
    friend class BlockCache;
    Block(BlockCache* cache, int32_t slot) : cache_(cache), slot_(slot) {}
    BlockCache* cache_ = nullptr;
    int32_t slot_ = -1;
  };
  /// Fills the memory of a block.
  using Make = std::function<void(std::span<std::byte> block)>;
  /// The same for any block.
  using MakeAny = std::function<void(int64_t key, std::span<std::byte> block)>;

  /// capacity_bytes: of one rank. readers: threads of a rank that request blocks.
  explicit BlockCache(int64_t capacity_bytes, int readers = 1)
      : capacity_(capacity_bytes), readers_(readers) {}
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  int64_t capacity() const { return capacity_; }
  /// Expects this many more blocks, of up to so many bytes. Call before allocate().
  void admit(int64_t blocks, size_t block_bytes);
  /// Takes the memory: slots for the largest of the blocks, as many as the ranks' capacities have room for,
  /// but one for each reader of a rank and another one, so that all can make one while one is read. Needed
  /// before any block is requested. machine: its ranks share the cache, if they can, and this is collective;
  /// null: each has its own.
  void allocate(const MachineMemory* machine = nullptr);

  /// Returns the block; empty if it is not cached.
  Block find(int64_t key);
  /// Returns the block, calling `make` if it is not cached, or waiting while another thread makes it. If that
  /// fails, make()'s exception is thrown, and the waiting threads try themselves. make() must not call get().
  Block get(int64_t key, const Make& make);
  /// Announces which blocks the ranks of this machine are about to use. block_of: the block of a sample; -1:
  /// one that is not cached. make: makes blocks before they are requested; null: none are. Null if the cache
  /// has room for all blocks and makes none of them ahead. The cache must outlive it.
  ///
  /// At most one block for each reader is made ahead and not yet used: that keeps all of them busy, and a
  /// block that makes room is given up hardly sooner than if it were made when it is requested.
  std::unique_ptr<Expectation> expect(ReadingOrder order, std::function<int64_t(int64_t sample)> block_of,
                                      MakeAny make = nullptr);

  /// Whether a thread is currently making the block.
  bool is_being_made(int64_t key);
  /// Number of threads that wait for a block made by another one, or for a slot.
  int64_t waiting();
  /// Number of blocks made so far by all ranks.
  int64_t made();
  int64_t slots() const { return slots_; }
  /// Memory for blocks, of all ranks together, most of which is taken when it is first used.
  int64_t bytes() const { return slots_ * static_cast<int64_t>(block_bytes_); }
  int shared_by() const { return ranks_; }

 private:
  class Following;
  struct Shared;
  struct OfRank;
  using Locked = std::unique_lock<MachineLock>;

  std::span<std::byte> memory_of(int32_t slot) const {
    return {blocks_ + static_cast<size_t>(slot) * block_bytes_, block_bytes_};
  }
  void divide(std::byte* memory);
  int32_t wait_for_slot(Locked& lock, int64_t key);
  void wait(Locked& lock);
  Block make_in(Locked& lock, int32_t slot, int64_t key, const Make& make, bool ahead);
  bool make_ahead(Locked& lock);
  void release(int32_t slot) noexcept;
  void start_era();
  void advance();
  void look_ahead();
  int64_t uses_of_step(const Following& followed) const;
  NextUses::Step uses_of(const Following& followed) const;

  const int64_t capacity_;
  const int readers_;
  size_t block_bytes_ = 0;
  int64_t admitted_ = 0, slots_ = 0;
  size_t bytes_ = 0;           ///< of `memory_`
  int rank_ = 0, ranks_ = 1;   ///< of those that share the cache
  std::vector<int> of_world_;  ///< their ranks in the run
  std::shared_ptr<std::byte[]> memory_;
  Shared* shared_ = nullptr;
  std::span<OfRank> of_ranks_;
  std::optional<SlotTable> table_;
  std::optional<NextUses> uses_;
  std::byte* blocks_ = nullptr;
  std::vector<Following*> following_;  ///< the newest last; guarded by the lock
  bool makes_ahead_ = true;            ///< until that fails; guarded by the lock
};

}  // namespace lockstep
