#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/timed_communicator.h"
#include "src/train/step/step.h"
#include "src/train/step/step_split.h"

namespace lockstep {

/// The split of some steps over the ranks, for people and for metrics.jsonl.
struct StepComparison {
  std::optional<StepReport> steps = std::nullopt;       ///< none without a step
  std::optional<std::string> straggler = std::nullopt;  ///< who holds up the others, if anybody does
};

/// Measures where the time of this rank's steps goes, around them: the training loop says only where a step
/// begins, has its batch and ends. On the CPU the host's clock splits every step. On a GPU, whose clock takes
/// a wait for the step, it splits one in so many.
class StepClock {
 public:
  /// statistics: of batch norm, where they have a communicator of their own; else null. All of these outlive
  /// the clock.
  StepClock(Exec exec, int lanes, Step& step, TimedCommunicator& communicator, TimedCommunicator* statistics);

  /// Forgets what was summed before the first step.
  void start();
  /// The next step begins with a wait for its batch.
  void begin_step();
  /// It has its batch. On a GPU this may wait for the step before.
  void has_batch();
  /// Step number `position` of the run, from 0, is computed, or enqueued on a GPU.
  void end_step(int64_t position);
  /// Of the newest step.
  double step_seconds() const { return step_seconds_; }

  /// Collective: the steps since the last call. input: the loader's since the start. files: of the training
  /// data.
  StepComparison compare_newest(World& world, const Loader::Seconds& input,
                                const std::vector<std::string>& files);
  /// Collective, once, at the end: all steps. It names no straggler where compare_newest() has compared all
  /// of them.
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
  bool splits_newest_ = false;  ///< the newest step is to be asked for its parts
};

}  // namespace lockstep
