#include "src/optim/early_stop.h"

#include <cmath>

#include "src/core/error.h"

namespace lockstep {

EarlyStop::EarlyStop(const EarlyStopSpec& spec, Better better) : spec_(spec), better_(better) {
  if (spec.patience < 1)
    fail(ExitCode::usage, "train.early_stop.patience = {} must be at least 1.", spec.patience);
  if (!std::isfinite(spec.min_delta) || spec.min_delta < 0)
    fail(ExitCode::usage, "train.early_stop.min_delta = {} must not be negative.", spec.min_delta);
}

bool EarlyStop::update(int64_t epoch, double value) {
  const double gain = better_ == Better::lower ? state_.best - value : value - state_.best;
  const bool first = state_.best_epoch < 0;
  if (!std::isnan(value) && (first || gain > spec_.min_delta))
    state_ = {value, epoch, 0};
  else
    ++state_.bad_epochs;
  return stops();
}

}  // namespace lockstep
