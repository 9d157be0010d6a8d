#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/order/sampler.h"
#include "src/train/observe/examination.h"
#include "src/train/step/step.h"

namespace lockstep {

/// Information on a non-finite step, to find the cause.
struct Diagnosis {
  int64_t step = 0, epoch = 0;  ///< from 1
  double loss = 0, gradient_norm = 0, lr = 0;
  std::vector<int64_t> samples = {};  ///< of the step's global batch, in its order
  int64_t largest_sample = -1;        ///< the sample with the value furthest from 0, as stored
  double largest_value = 0;           ///< that value; non-finite if any value is
  /// Where the first non-finite number appeared when the step was recomputed; empty if nowhere.
  std::optional<PlaceNames> place = std::nullopt;
  int64_t bad_sample = -1;  ///< the sample of that number; -1: unknown

  /// A sentence that points to the cause: "Layer conv1 was the first with a non-finite output, for sample 7."
  std::string hints() const;
  std::string to_json() const;
};

/// Everything that a step was computed from.
struct DiagnosisParts {
  World& world;
  Exec exec;
  const Task& task;
  const Graph& graph;
  const Parameters& parameters;  ///< as before the step
  const Batching& batching;
  const Sampler& sampler;
  const Dataset& train;
};

/// Collective: each rank reads its samples again and recomputes its part of the step, without all-reduces.
/// Rank 0 gets the result. Waits for the device. Does not throw if one rank's part fails; that part is then
/// missing.
Diagnosis diagnose(const DiagnosisParts& parts, const StepMetrics& metrics, double lr);

}  // namespace lockstep
