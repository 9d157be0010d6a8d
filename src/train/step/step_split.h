#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/loader.h"

namespace lockstep {

/// The parts of the time of one rank's steps, in seconds.
struct StepSplit {
  double read = 0;    ///< blocked waiting for samples whose bytes were being read
  double decode = 0;  ///< blocked waiting for samples that were being decompressed, converted or gathered
  double copy = 0;    ///< copying the batch to the backend's memory
  double compute = 0;
  double communication = 0;  ///< blocked in all-reduces for which no rank was late
  double wait = 0;           ///< blocked in all-reduces for which other ranks were late

  double total() const { return own() + communication + wait; }
  /// The time not spent on other ranks; the rank with the most slows down the others.
  double own() const { return read + decode + copy + compute; }
};

/// The same steps compared over the ranks, as means per step.
struct StepReport {
  int ranks = 1;
  int64_t steps = 0;
  StepSplit mean;  ///< over the ranks
  int slowest_rank = 0;
  StepSplit slowest, median;  ///< of the ranks with the most and the median `own`
};

/// Sums up the parts of this rank's steps and compares them with those of the other ranks when asked.
class StepSplitRecorder {
 public:
  /// Adds a step that took `seconds`.
  void add(double seconds);
  /// The parts of a step's time, without waiting for samples. On the CPU, called for every step; on a GPU,
  /// where measuring requires waiting for the step, for some steps that represent the others. Must be called
  /// for the same steps on every rank.
  void add_parts(double copy, double compute, double in_sums);

  /// Collective. Reports the steps since the last call, of which there must be at least one. input: totals
  /// since the start.
  StepReport gather(World& world, const Loader::Seconds& input);
  /// Reports everything gathered so far. The same on every rank; not collective.
  StepReport whole_run() const;

  int64_t steps_since_gather() const { return steps_; }
  int64_t gathers() const { return gathers_; }

 private:
  int64_t steps_ = 0, steps_with_parts_ = 0, gathers_ = 0, run_steps_ = 0;
  double seconds_ = 0, copy_ = 0, compute_ = 0;
  /// Time in all-reduces, one entry per `steps_a_sum_` steps. The minimum of an entry over the ranks is the
  /// time for which no rank was late.
  std::vector<double> in_sums_;
  int64_t steps_a_sum_ = 1, steps_in_last_ = 0;
  Loader::Seconds input_before_;
  StepSplit parts_{.compute = 1};  ///< mean of the newest measured steps, used for those not measured
  std::vector<StepSplit> run_;     ///< by rank
};

/// Means per step from sums over `steps` steps, one per rank.
StepReport compare_ranks(const std::vector<StepSplit>& ranks, int64_t steps);

/// "rank 3 (node7) slows each step down by 18 %: read +12.10 ms per step (FILE)"; empty if no rank slows down
/// steps noticeably. files: of the training data. host: of the slowest rank.
std::optional<std::string> straggler_line(const StepReport& report, const std::string& host,
                                          const std::vector<std::string>& files);

}  // namespace lockstep
