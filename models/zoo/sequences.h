#pragma once

#include <string>

#include "models/registry.h"
#include "src/core/error.h"

namespace lockstep::zoo {

/// A number of layers, channels and the like. Throws Error(usage) unless it is positive.
inline int64_t count_of(const ModelRequest& request, const std::string& key) {
  const int64_t count = request.integer(key);
  if (count < 1) fail(ExitCode::usage, "model.{} = {} must be a number from 1.", key, count);
  return count;
}

/// Whether a model has an output at each position of its input, as a language model has.
inline bool is_per_position(const ModelRequest& request) {
  const Shape& positions = request.output.positions;
  return positions.rank() == 1 && request.input.shape.rank() > 0 && positions[0] == request.input.shape[0];
}

}  // namespace lockstep::zoo
