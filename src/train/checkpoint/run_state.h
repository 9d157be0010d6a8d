#pragma once

#include <cstdint>
#include <vector>

#include "src/optim/early_stop.h"
#include "src/train/step/step.h"

namespace lockstep {

/// Steps that were skipped because they were not finite.
struct SkippedSteps {
  int64_t count = 0;          ///< of the whole run
  int64_t in_a_row = 0;       ///< up to the newest step, without overflows (see LossScale)
  int64_t epoch_samples = 0;  ///< of this epoch, excluded from its loss
};

/// The state of a run, without the values of its model.
struct RunState {
  int64_t position = 0;       ///< number of the next batch in the run, from 0
  double epoch_loss_sum = 0;  ///< over the epoch's samples so far that were not skipped
  int64_t epoch_samples = 0;  ///< including skipped ones
  /// Like epoch_loss_sum, for each of several outputs; empty if there is only one.
  std::vector<double> output_loss_sums = {};
  SkippedSteps skipped = {};
  LossScale loss_scale = {};
  EarlyStop::State watched;  ///< for early stopping
  EarlyStop::State best;     ///< for best.h5

  /// Adds a step to the epoch, or counts it as skipped if it was not finite.
  void count(const StepMetrics& metrics);
  /// Mean over the epoch so far; NaN if all of its steps were skipped.
  double epoch_loss() const;
  std::vector<double> output_losses() const;
  /// Resets the sums of the epoch.
  void start_epoch();
};

}  // namespace lockstep
