#pragma once

#include <optional>
#include <string>

#include "src/train/checkpoint/run_state.h"
#include "src/train/run/evaluator.h"

namespace lockstep {

/// Follows the watched validation metric over the epochs: whether the run should stop early, and which epoch
/// is the best. The two are tracked separately: any improvement makes a better checkpoint, but one within
/// min_delta does not delay the stop, and a run that is resumed without its best.h5 determines the best epoch
/// anew.
class MetricWatch {
 public:
  /// early_stop: without it, the run never stops early, and the best epoch has the lowest loss.
  explicit MetricWatch(const std::optional<EarlyStopSpec>& early_stop);

  /// Records the newest epoch; returns whether it is the best so far.
  bool update(int64_t epoch, const Evaluation& evaluation);
  bool stops() const { return early_stop_.stops(); }

  void save(RunState& state) const;
  void restore(const RunState& state);

 private:
  std::string metric_;
  EarlyStop early_stop_, best_;
};

}  // namespace lockstep
