#pragma once

#include "io/dataset/loader.h"
#include "launch/measure/energy.h"
#include "launch/measure/statistics.h"
#include "src/train/run/evaluator.h"

namespace lockstep {

/// Measured predictions: from samples in memory to outputs in host memory.
struct PredictionTimes {
  int64_t parts = 0, batches_a_part = 0, warm_up = 0;  ///< warm_up: batches before the first part
  Spread batch;                                        ///< milliseconds per batch, over the parts
  Energy energy;                                       ///< of all parts
};

/// Predicts a few batches as warm-up, and then at least `samples` samples in ten equal parts: rows of
/// `source`, over and over. batch and lanes: those of the evaluator. One rank.
PredictionTimes time_predictions(Evaluator& evaluator, const Batch& source, int64_t batch, int lanes,
                                 int64_t samples, EnergyMeter& meter);

}  // namespace lockstep
