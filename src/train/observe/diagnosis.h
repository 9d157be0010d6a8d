#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/collectives/world.h"
#include "io/dataset/sampler.h"
#include "src/train/observe/examination.h"
#include "src/train/step/step.h"

namespace lockstep {

/// What is known of a step that was not finite, for whoever looks for the cause.
struct Diagnosis {
  int64_t step = 0, epoch = 0;  ///< from 1
  double loss = 0, gradient_norm = 0, lr = 0;
  std::vector<int64_t> samples = {};  ///< of the step's global batch, in its order
  int64_t largest_sample = -1;        ///< the one of them with the value furthest from 0, as stored
  double largest_value = 0;           ///< that value; not finite if one is not
  /// Where the first number that is not finite came up when the step was computed again; none: nowhere.
  std::optional<PlaceNames> place = std::nullopt;
  int64_t bad_sample = -1;  ///< whose number that was; -1: not known

  /// "layer conv1 gave numbers that are not finite ...": what points at a cause.
  std::string hints() const;
  std::string to_json() const;
};

/// What a step was made of.
struct DiagnosisParts {
  World& world;
  Exec exec;
  const Task& task;
  const Graph& graph;
  const Parameters& parameters;  ///< as the step found them
  const Batching& batching;
  const Sampler& sampler;
  const Dataset& train;
};

/// Collective: each rank reads its samples of the step again and computes its part again, without summing
/// anything over the ranks. Rank 0 learns everything. Waits for the device. Never throws for what goes wrong
/// with one rank's part: it is then left out.
Diagnosis diagnose(const DiagnosisParts& parts, const StepMetrics& metrics, double lr);

}  // namespace lockstep
