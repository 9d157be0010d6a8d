#pragma once

#include <cstdint>
#include <vector>

namespace lockstep {

/// What determines a WindowOrder, apart from its key.
struct WindowShape {
  /// Slots of a batch are dealt to lanes, which divide the batch size. Each lane reads runs of its own.
  int64_t lanes = 1;
  int64_t run = 1;          ///< consecutive samples that are read together: whole blocks of the storage
  int64_t runs_mixed = 1;   ///< runs of one lane whose samples are mixed: its window
  bool keeps_runs = false;  ///< a lane has the same runs in every epoch, whatever the key
  bool operator==(const WindowShape&) const = default;
};

/// An order of samples that is random and yet reads each part of the storage once, with little of it in
/// memory. The samples are cut into runs, which are dealt to lanes in random order. A lane takes a window of
/// runs_mixed runs after the other and mixes the samples of each. The slots of a batch are divided among the
/// lanes, so a batch has samples of lanes * runs_mixed runs, and ranks, which have different slots, read
/// different runs. The windows of the lanes begin at different steps, so that new runs are needed at a steady
/// rate rather than all at once.
///
/// If lanes keep their runs, these are dealt once and for all, and only their order within the lane changes.
/// A rank, and so a machine, then reads the same part of the data in every epoch, except for a few samples.
///
/// Samples of runs that cannot be dealt evenly, and those behind the last whole run of a file, are spread
/// over the epoch, in stored order.
///
/// The sample of a slot is found in O(log files) time and O(files) memory. Every sample occurs once an epoch.
class WindowOrder {
 public:
  /// parts: numbers of consecutive samples whose runs begin anew, such as those of a file; lanes must divide
  /// `batch`.
  WindowOrder(const WindowShape& shape, const std::vector<int64_t>& parts, int64_t batch);

  /// The sample in a slot of a step; key: random bits of the epoch. The slot of the last, shorter batch must
  /// be below its number of samples.
  int64_t sample(uint64_t key, int64_t step, int64_t slot) const;
  const WindowShape& shape() const { return shape_; }
  /// The most runs of which samples are needed within a few batches.
  int64_t active_runs() const { return shape_.lanes * shape_.runs_mixed + 1; }

 private:
  struct Part {
    int64_t first;                     ///< sample
    int64_t runs_before, rest_before;  ///< whole runs, and samples behind them, in the parts before
  };
  int64_t first_of_run(int64_t run) const;
  int64_t rest(int64_t index) const;
  int64_t left_over(uint64_t key, int64_t index) const;
  int64_t nth_run(uint64_t key, int64_t index) const;

  WindowShape shape_;
  std::vector<Part> parts_;
  int64_t runs_ = 0, rest_ = 0;  ///< whole runs, and samples behind them
  int64_t slots_of_lane_;        ///< in a batch
  int64_t lane_length_;          ///< samples of a lane in the whole batches of an epoch
  int64_t runs_of_lane_;
  int64_t steps_;  ///< whole batches
};

}  // namespace lockstep
