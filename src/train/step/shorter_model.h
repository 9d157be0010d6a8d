#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "src/graph/graph.h"
#include "src/train/step/task.h"

namespace lockstep {

/// The model for samples that are cut to a length below that of the data set's samples, with the same
/// parameters (data.buckets).
struct ShorterModel {
  int64_t length = 0;
  Task task;
  Graph graph;  ///< trained_graph()
};

/// That for samples of `length`; null: there is none.
inline const ShorterModel* model_for(int64_t length, std::span<const ShorterModel> models) {
  const auto found = std::ranges::find(models, length, &ShorterModel::length);
  return found == models.end() ? nullptr : &*found;
}

}  // namespace lockstep
