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

}  // namespace

MetricWatch::MetricWatch(const std::optional<EarlyStopSpec>& early_stop)
    : watches_accuracy_(early_stop && early_stop->metric == "validation_accuracy"),
      early_stop_(early_stop.value_or(never())),
      best_(any_improvement(early_stop)) {}

bool MetricWatch::update(int64_t epoch, const Evaluation& evaluation) {
  const double watched = watches_accuracy_ ? evaluation.accuracy : evaluation.loss;
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
