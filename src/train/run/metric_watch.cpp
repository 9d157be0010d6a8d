#include "src/train/run/metric_watch.h"

#include <limits>

namespace lockstep {

namespace {

EarlyStopSpec never() { return {.patience = std::numeric_limits<int64_t>::max()}; }

EarlyStopSpec any_improvement(const std::optional<EarlyStopSpec>& early_stop) {
  EarlyStopSpec spec = early_stop.value_or(EarlyStopSpec{});
  spec.min_delta = 0;
  return spec;
}

Better direction_of(const std::string& metric) {
  return higher_is_better(metric) ? Better::higher : Better::lower;
}

}  // namespace

MetricWatch::MetricWatch(const std::optional<EarlyStopSpec>& early_stop)
    : metric_(early_stop.value_or(EarlyStopSpec{}).metric),
      early_stop_(early_stop.value_or(never()), direction_of(metric_)),
      best_(any_improvement(early_stop), direction_of(metric_)) {}

bool MetricWatch::update(int64_t epoch, const Evaluation& evaluation) {
  const double watched = evaluation.watched(metric_);
  early_stop_.update(epoch, watched);
  best_.update(epoch, watched);
  return best_.improved();
}

void MetricWatch::save(RunState& state) const {
  state.watched = early_stop_.state();
  state.best = best_.state();
}

void MetricWatch::restore(const RunState& state) {
  early_stop_.restore(state.watched);
  best_.restore(state.best);
}

}  // namespace lockstep
