#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/timed_communicator.h"
#include "src/train/step/step.h"
#include "src/train/step/step_split.h"

namespace lockstep {

/// The split of steps over the ranks, for the log and metrics.jsonl.
struct StepComparison {
  std::optional<StepReport> steps = std::nullopt;       ///< empty without steps
  std::optional<std::string> straggler = std::nullopt;  ///< which rank slows down the others, if any
};

/// Measures how the time of this rank's steps is spent, from outside: the training loop only reports when a
/// step begins, has its batch and ends. On the CPU, the host's clock splits every step. On a GPU, where
/// measuring requires waiting for the step, some steps are split.
class StepClock {
 public:
  /// statistics: the communicator of batch norm statistics, or null. All arguments must outlive the clock.
  StepClock(Exec exec, int lanes, Step& step, TimedCommunicator& communicator, TimedCommunicator* statistics);

  /// Discards what was measured before the first step.
  void start();
  /// The next step begins, and waits for its batch.
  void begin_step();
  /// Step number `position` of the run, from 0, has its batch. On a GPU this may wait for the previous step.
  void has_batch(int64_t position);
  /// Whether the step that has its batch must be timed (Step::run()).
  bool times_step() const { return splits_newest_; }
  /// The step is computed, or enqueued on a GPU.
  void end_step();
  /// Duration of the newest step.
  double step_seconds() const { return step_seconds_; }

  /// Collective. Compares the steps since the last call. input: the loader's totals since the start. files:
  /// of the training data.
  StepComparison compare_newest(World& world, const Loader::Seconds& input,
                                const std::vector<std::string>& files);
  /// Collective; call once, at the end. Compares all steps. Names no straggler if compare_newest() has
  /// already compared all of them.
  StepComparison compare_all(World& world, const Loader::Seconds& input,
                             const std::vector<std::string>& files);

 private:
  using Clock = std::chrono::steady_clock;

  double take_seconds_in_sums();
  void split_on_host();
  void split_on_device();

  Exec exec_;
  int lanes_;
  Step& step_;
  TimedCommunicator& communicator_;
  TimedCommunicator* statistics_;
  StepSplitRecorder recorder_;
  Clock::time_point step_began_, got_batch_;
  double step_seconds_ = 0;
  bool splits_newest_ = false;  ///< whether the parts of the newest step are measured
};

}  // namespace lockstep
