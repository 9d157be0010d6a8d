#include "tests/support/emulator/account/blocks.h"

#include <algorithm>
#include <vector>

namespace emulator::account {

namespace {

/// A launch with less work is emulated as a whole. Data decide the accesses of some kernels that have little,
/// such as a sort, but of none that has much.
constexpr uint64_t kSmall = 1'000'000;
/// Blocks that must have repeated before others are taken to.
constexpr size_t kMinRepeated = 16;

class Launch {
 public:
  using Emulate = std::function<Counts(uint64_t, Touch)>;
  Launch(uint64_t blocks, const Emulate& emulate) : blocks_(blocks), emulate_(emulate) {}

  LaunchCounts count(bool all) {
    uint64_t next = 0;
    size_t look = kMinRepeated;  // looks for a period when there are so many in a row
    while (next < blocks_) {
      row_.push_back(run(next++, Touch::new_sectors));
      counts_.sum += row_.back();
      if (all || counts_.sum.work < kSmall || row_.size() < look) continue;
      look = row_.size() + row_.size() / 4 + 1;
      const size_t period = find_period();
      if (period == 0) continue;
      const uint64_t end = end_of_run(next, period);
      if (end == next) continue;
      skip(next, end, period);
      next = end;
      row_.clear();
      look = kMinRepeated;
    }
    return counts_;
  }

 private:
  Counts run(uint64_t block, Touch touch) {
    ++counts_.emulated;
    return emulate_(block, touch);
  }

  /// The least number of blocks after which the newest in the row repeat; 0: there is none.
  size_t find_period() const {
    const size_t count = row_.size();
    for (size_t period = 1; period + std::max(2 * period, kMinRepeated) <= count; ++period)
      if (std::equal(row_.end() - static_cast<std::ptrdiff_t>(std::max(2 * period, kMinRepeated)), row_.end(),
                     row_.end() - static_cast<std::ptrdiff_t>(std::max(2 * period, kMinRepeated) + period)))
        return period;
    return 0;
  }

  /// What block next + distance does if the row repeats.
  const Counts& expected(uint64_t distance, size_t period) const {
    return row_[row_.size() - period + distance % period];
  }

  /// The end of the blocks from `next` on that repeat the row, found by bisection: a grid's blocks differ
  /// where they have one round of a loop less, and at the end.
  uint64_t end_of_run(uint64_t next, size_t period) {
    const auto repeats = [&](uint64_t block) {
      return run(block, Touch::only_own).same_shape(expected(block - next, period));
    };
    uint64_t end = next, differs = blocks_;
    if (repeats(blocks_ - 1)) {
      end = blocks_;
    } else {
      --differs;
      while (end < differs) {
        const uint64_t middle = end + (differs - end) / 2;
        if (repeats(middle))
          end = middle + 1;
        else
          differs = middle;
      }
    }
    // Bisection has missed a part that differs if any of these does. Fractions that no power of two divides.
    for (const uint64_t part : {3, 5, 7, 11, 13}) {
      const uint64_t block = next + (end - next) * 2 / part;
      if (block < end && !repeats(block)) return next;
    }
    // The last blocks may read what the first have read.
    return end - std::min<uint64_t>(end - next, period);
  }

  void skip(uint64_t next, uint64_t end, size_t period) {
    for (size_t i = 0; i < period; ++i) {
      const uint64_t times = (end - next + period - 1 - i) / period;
      Counts counts = expected(i, period);
      for (uint64_t* const count :
           {&counts.new_read, &counts.new_written, &counts.own_read, &counts.own_written, &counts.accessed,
            &counts.shared_accesses, &counts.fused_operations, &counts.matrix_operations, &counts.work})
        *count *= times;
      counts_.sum += counts;
    }
    // The next block may share sectors with the last.
    for (uint64_t block = std::max(next, end - std::min<uint64_t>(end, period)); block < end; ++block)
      run(block, Touch::new_sectors);
  }

  uint64_t blocks_;
  const Emulate& emulate_;
  std::vector<Counts> row_;  ///< of blocks that were emulated one after the other
  LaunchCounts counts_;
};

}  // namespace

LaunchCounts count_blocks(uint64_t blocks, bool all, const std::function<Counts(uint64_t, Touch)>& emulate) {
  return Launch(blocks, emulate).count(all);
}

}  // namespace emulator::account
