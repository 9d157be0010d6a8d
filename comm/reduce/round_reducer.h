#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <vector>

#include "comm/collectives/communicator.h"

namespace lockstep {

/// Adds small vectors over all micro-batches of a round: those computed at the same time by the lanes (CPU
/// threads) of all ranks. Unlike sums of gradients, the result is needed at once, so every lane waits for it.
/// Where one thread enqueues everything, as on CUDA, the communicator may be that of the gradients. On the
/// CPU it must be a separate one: other lanes start the gradients' all-reduces at any time, and the
/// collectives of one communicator must be in the same order on every rank.
class RoundReducer {
 public:
  explicit RoundReducer(Communicator& communicator) : communicator_(communicator) {}

  /// Resets the state left by a failed step. Called before the lanes start.
  void begin();
  /// Replaces values, in the memory of the backend, by their sum over lanes 0 to lanes - 1, added in this
  /// order, and over the ranks. In a round each of these lanes makes the same number of calls, with the same
  /// numbers of values; every rank has the same rounds, and only the last may have fewer lanes. Blocks until
  /// the others have called it too; enqueues on CUDA, where there is one lane.
  void sum(Exec exec, int lane, int lanes, std::span<float> values);
  /// Reports that a lane failed with `cause`: sum() rethrows it on the other lanes, until begin().
  void cancel(const std::exception_ptr& cause) noexcept;

 private:
  Communicator& communicator_;
  std::mutex mutex_;                       // guards everything below
  std::condition_variable changed_;        ///< a sum is complete, or the step is cancelled
  std::vector<std::span<float>> waiting_;  ///< by lane
  int arrived_ = 0;
  uint64_t sums_ = 0;             ///< completed so far
  std::exception_ptr cancelled_;  ///< the cause, if the step is cancelled
};

}  // namespace lockstep
