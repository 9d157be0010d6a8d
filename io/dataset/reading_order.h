#pragma once

#include <cstdint>
#include <functional>

namespace lockstep {

/// The samples that the ranks of a run are about to read, which are known in advance.
struct ReadingOrder {
  int64_t steps = 0;
  /// This rank reads slots [first_slot, first_slot + rows) of each step; the other ranks have as many each,
  /// in the order of ranks.
  int64_t first_slot = 0, rows = 0;
  /// The sample in a slot of a step; -1: none.
  std::function<int64_t(int64_t step, int64_t slot)> sample;
  int64_t run = 1;  ///< `sample` is the first of this many consecutive ones
  /// The first steps, which are read for certain; nothing is prepared for those behind them.
  int64_t certain_steps = INT64_MAX;
};

/// Announces a ReadingOrder while it exists. If there are several, the newest applies. Thread-safe.
class Expectation {
 public:
  virtual ~Expectation() = default;
  /// This rank has read its part of the first `steps` steps.
  virtual void has_read(int64_t steps) = 0;
  /// Prepares a part of what will be read soonest, for a thread that has nothing else to do. False if that is
  /// done already, as far as there is memory for it.
  virtual bool read_ahead() { return false; }
};

}  // namespace lockstep
