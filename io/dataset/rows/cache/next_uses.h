#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "io/dataset/rows/cache/shared_arrays.h"

namespace lockstep {

/// The steps in which each block will be used, as far ahead as a window of kUses uses reaches. Lies in memory
/// that several processes may map, and that begins with zeros. Does not lock.
class NextUses {
 public:
  static constexpr int64_t kUses = int64_t{1} << 18;
  static constexpr int64_t kUnknown = INT64_MAX;  ///< a use beyond the window, or none

  /// Calls `use` for each block that is used in a step.
  using Step = std::function<void(int64_t step, const std::function<void(int64_t block)>& use)>;

  explicit NextUses(SharedArrays& arrays);
  /// A use of a block in a step.
  struct Found {
    int64_t block, step;
  };

  /// Forgets everything; the window begins with `step`.
  void start(int64_t step);
  /// Removes the steps before `step` from the window and adds as many uses as it has room for, of the steps
  /// before `end`, but only so many at a time that this takes less than a millisecond: the caller holds a
  /// lock. uses_of_step: the most uses of a step. Calls `changed` for blocks whose next use has changed.
  void advance(int64_t step, int64_t end, int64_t uses_of_step, const Step& uses,
               const std::function<void(int64_t block)>& changed);
  /// The first step of the window in which the block is used, or kUnknown.
  int64_t next_use(int64_t block) const;
  /// The first use, among the thousands at the beginning of the window, whose block is wanted.
  std::optional<Found> first(const std::function<bool(int64_t block)>& is_wanted) const;

 private:
  /// A block in a step. Those of a block form a list, whose first one represents the block in its bucket.
  struct Use {
    int64_t block, step;
    int32_t later;           ///< the block's next use, -1: none in the window
    int32_t last;            ///< of the list; valid in its first use
    int32_t next_of_bucket;  ///< valid in the first use of a list
  };
  struct Window {
    int64_t begin, end;  ///< numbers of uses; use n has index n % kUses
    int64_t next_step;   ///< first one behind the window
  };

  Use& at(int32_t index) const { return uses_[static_cast<size_t>(index)]; }
  int32_t first_of(int64_t block) const;
  int32_t& bucket_of(int64_t block) const;
  /// Whether it is the block's first one in the window.
  bool append(int64_t block, int64_t step);
  void remove_first();

  std::span<Window> window_;  ///< one
  std::span<Use> uses_;
  std::span<int32_t> buckets_;  ///< -1: empty
};

}  // namespace lockstep
