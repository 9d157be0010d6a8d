#pragma once

#include <cstdint>
#include <span>

#include "io/dataset/rows/cache/shared_arrays.h"

namespace lockstep {

/// The slots of a cache, each with room for a block: which block each holds, and which of them to give up.
/// Lies in memory that several processes may map, and that begins with zeros. Does not lock.
class SlotTable {
 public:
  /// The next use of a block that is not expected to be used.
  static constexpr int64_t kNever = INT64_MAX;

  struct Slot {
    int64_t block;     ///< -1: none
    int64_t next_use;  ///< a step
    int64_t used;      ///< number of the last use of any slot
    int32_t pins;      ///< threads that use the block, make it or wait for it
    int32_t being_made;
    int32_t is_ahead;               ///< made before it was requested, and not used since
    int32_t next_of_bucket, place;  ///< in the heap
  };

  SlotTable(SharedArrays& arrays, int64_t slots);
  /// Call once, in one process.
  void initialize();

  int64_t slots() const { return static_cast<int64_t>(slots_.size()); }
  Slot& operator[](int32_t slot) { return slots_[static_cast<size_t>(slot)]; }
  const Slot& operator[](int32_t slot) const { return slots_[static_cast<size_t>(slot)]; }
  /// The slot of a block; -1: none.
  int32_t find(int64_t block) const;
  /// The slot to be given up first: that of the block whose next use is furthest in the future and, of equal
  /// ones, which has not been used for longest. Empty slots come first, slots with pins never; -1: none.
  int32_t find_dispensable() const { return dispensable_below(0); }

  /// Gives the slot to another block; -1: to none.
  void assign(int32_t slot, int64_t block);
  void set_next_use(int32_t slot, int64_t step);
  /// Counts a use of the slot's block now.
  void touch(int32_t slot);
  /// The slot's block was made before it was requested; the next touch() or assign() ends that.
  void set_ahead(int32_t slot);
  void clear_ahead(int32_t slot);
  /// Number of slots with such blocks.
  int64_t ahead() const { return counts_[0].ahead; }

 private:
  bool goes_before(int32_t a, int32_t b) const;
  int32_t dispensable_below(size_t place) const;
  void restore_order(int32_t slot);
  void put(int32_t slot, size_t place);
  int32_t& bucket_of(int64_t block) const;

  std::span<Slot> slots_;
  std::span<int32_t> buckets_;  ///< the first slot of each, -1: none
  std::span<int32_t> heap_;     ///< slots, each before those at 2 i + 1 and 2 i + 2
  struct Counts {
    int64_t uses;   ///< so far
    int64_t ahead;  ///< see ahead()
  };
  std::span<Counts> counts_;  ///< one
};

}  // namespace lockstep
