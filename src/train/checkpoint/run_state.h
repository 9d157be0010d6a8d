#pragma once

#include <cstdint>
#include <vector>

#include "src/optim/early_stop.h"

namespace lockstep {

/// Steps that changed nothing, because they were not finite.
struct SkippedSteps {
  int64_t count = 0;          ///< of the whole run
  int64_t in_a_row = 0;       ///< up to the newest step
  int64_t epoch_samples = 0;  ///< of this epoch, which its loss leaves out
};

/// Where a run stands, besides the values of its model.
struct RunState {
  int64_t position = 0;       ///< the next batch's number in the run, from 0
  double epoch_loss_sum = 0;  ///< over the samples of the epoch so far that were not skipped
  int64_t epoch_samples = 0;  ///< skipped or not
  /// Like epoch_loss_sum, of each of several outputs; empty where there is one.
  std::vector<double> output_loss_sums = {};
  SkippedSteps skipped = {};
  EarlyStop::State watched;  ///< by early stopping
  EarlyStop::State best;     ///< what best.h5 is the best of

  /// Takes a step with this mean loss, and these of several outputs, into the epoch's, or among the steps
  /// that are not finite.
  void count(double loss, int64_t samples, bool is_finite, const std::vector<double>& output_losses = {});
  /// Mean over the epoch so far; not a number when every step of it was skipped.
  double epoch_loss() const;
  std::vector<double> output_losses() const;
  /// Forgets the epoch that has ended.
  void start_epoch();
};

}  // namespace lockstep
