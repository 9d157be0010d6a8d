#pragma once

#include <optional>
#include <string>

#include "src/train/checkpoint/run_state.h"
#include "src/train/run/evaluator.h"

namespace lockstep {

/// The watched metric of validation over the epochs: whether the run should stop early, and which epoch is
/// the best. Those two differ: any improvement makes a better checkpoint, a small one does not keep a run
/// going, and a run that is resumed without its best.h5 looks for the best anew.
class MetricWatch {
 public:
  /// early_stop: none never stops, and the best epoch is that of the least loss.
  explicit MetricWatch(const std::optional<EarlyStopSpec>& early_stop);

  /// Takes the newest epoch; returns whether it is the best so far.
  bool update(int64_t epoch, const Evaluation& evaluation);
  bool stops() const { return early_stop_.stops(); }

  void save(RunState& state) const;
  void restore(const RunState& state);

 private:
  std::string metric_;
  EarlyStop early_stop_, best_;
};

}  // namespace lockstep
