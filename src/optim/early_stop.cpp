#include "src/optim/early_stop.h"

#include <cmath>
#include <vector>

#include "src/core/error.h"
#include "src/core/suggest.h"

namespace lockstep {

namespace {

constexpr const char* kLoss = "validation_loss";
constexpr const char* kAccuracy = "validation_accuracy";

}  // namespace

EarlyStop::EarlyStop(const EarlyStopSpec& spec) : spec_(spec) {
  if (const std::vector<std::string> known = {kLoss, kAccuracy};
      spec.metric != kLoss && spec.metric != kAccuracy)
    fail(ExitCode::usage, "unknown train.early_stop.metric '{}'{}", spec.metric,
         suggestion(spec.metric, known));
  if (spec.patience < 1)
    fail(ExitCode::usage, "train.early_stop.patience = {} must be at least 1.", spec.patience);
  if (!std::isfinite(spec.min_delta) || spec.min_delta < 0)
    fail(ExitCode::usage, "train.early_stop.min_delta = {} must not be negative.", spec.min_delta);
}

bool EarlyStop::update(int64_t epoch, double value) {
  const double gain = spec_.metric == kLoss ? state_.best - value : value - state_.best;
  const bool first = state_.best_epoch < 0;
  if (!std::isnan(value) && (first || gain > spec_.min_delta))
    state_ = {value, epoch, 0};
  else
    ++state_.bad_epochs;
  return stops();
}

}  // namespace lockstep
