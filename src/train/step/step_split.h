#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/loader.h"

namespace lockstep {

/// Where the time of one rank's steps went, in seconds.
struct StepSplit {
  double read = 0;    ///< stood still for samples, because their bytes were not there yet
  double decode = 0;  ///< stood still for samples that were decompressed, converted or gathered
  double copy = 0;    ///< into the memory of the backend
  double compute = 0;
  double communication = 0;  ///< stood still for sums for which no rank was late
  double wait = 0;           ///< stood still for sums for which others were late

  double total() const { return own() + communication + wait; }
  /// What this rank spent by itself: the rank with the most holds up the others.
  double own() const { return read + decode + copy + compute; }
};

/// The split of the same steps on all ranks: means of one step.
struct StepReport {
  int ranks = 1;
  int64_t steps = 0;
  StepSplit mean;  ///< over the ranks
  int slowest_rank = 0;
  StepSplit slowest, median;  ///< of the ranks with the most and the median `own`
};

/// Adds up the split of this rank's steps, and compares it with the other ranks' now and then.
class StepSplitRecorder {
 public:
  /// A step has taken so long.
  void add(double seconds);
  /// What a step's time went into while this rank did not stand still for samples. Every step on the CPU; on
  /// a GPU, where it takes a wait for the step, some of them, which stand for the others. The same steps on
  /// every rank.
  void add_parts(double copy, double compute, double in_sums);

  /// Collective: the steps since the last call; there is at least one. input: totals since the start.
  StepReport gather(World& world, const Loader::Seconds& input);
  /// Everything gathered so far. The same on every rank, not collective.
  StepReport whole_run() const;

  int64_t steps_since_gather() const { return steps_; }
  int64_t gathers() const { return gathers_; }

 private:
  int64_t steps_ = 0, steps_with_parts_ = 0, gathers_ = 0, run_steps_ = 0;
  double seconds_ = 0, copy_ = 0, compute_ = 0;
  /// Time in sums, each of `steps_a_sum_` steps: what no rank was late for is the least over the ranks of
  /// each.
  std::vector<double> in_sums_;
  int64_t steps_a_sum_ = 1, steps_in_last_ = 0;
  Loader::Seconds input_before_;
  StepSplit parts_{.compute = 1};  ///< mean of the newest steps that told theirs, for those that did not
  std::vector<StepSplit> run_;     ///< by rank
};

/// Means of a step from sums over so many steps, one a rank.
StepReport compare_ranks(const std::vector<StepSplit>& ranks, int64_t steps);

/// "rank 3 (node7) makes steps 18 % slower than the median rank would: read +12.10 ms a step (FILE)"; none
/// when no rank makes steps so much slower that it is worth a look. files: of the training data. host: of the
/// slowest rank.
std::optional<std::string> straggler_line(const StepReport& report, const std::string& host,
                                          const std::vector<std::string>& files);

}  // namespace lockstep
