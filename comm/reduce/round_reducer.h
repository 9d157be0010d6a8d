#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"

namespace lockstep {

/// Adds small vectors over all micro-batches of a round: those that the lanes (CPU threads) of all ranks
/// compute at the same time. Unlike a sum of gradients it is needed at once, so every lane waits for it.
///
/// The communicator may be that of the gradients where one thread enqueues everything, as on CUDA. On the CPU
/// it is one of its own: other lanes start the gradients' sums whenever they are complete, and the sums of
/// one communicator must come in the same order on every rank.
class RoundReducer {
 public:
  explicit RoundReducer(Communicator& communicator) : communicator_(communicator) {}

  /// Forgets what a failed step has left behind. Called before the lanes start.
  void begin();
  /// Replaces values, in the memory of the backend, by their sum over lanes 0 to lanes - 1, added in this
  /// order, and over the ranks. Each of these lanes calls it equally often in a round, with as many values;
  /// every rank has the same rounds, and only the last may have fewer lanes. Blocks until the others are
  /// there; enqueues on CUDA, where there is one lane.
  void sum(Exec exec, int lane, int lanes, std::span<float> values);
  /// A lane failed with `cause` and will never come: sum() throws the same on the other lanes, until begin().
  void cancel(const std::exception_ptr& cause) noexcept;

 private:
  Communicator& communicator_;
  std::mutex mutex_;                       // guards all below
  std::condition_variable changed_;        ///< a sum is complete, or all is cancelled
  std::vector<std::span<float>> waiting_;  ///< by lane
  int arrived_ = 0;
  uint64_t sums_ = 0;             ///< complete ones
  std::exception_ptr cancelled_;  ///< why, if all is cancelled
};

}  // namespace lockstep
