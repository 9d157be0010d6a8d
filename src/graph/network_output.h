#pragma once

#include <fmt/core.h>

#include <string>
#include <vector>

#include "src/tensor/shape.h"

namespace lockstep {

/// The output that a network must have per sample: `width` numbers at each position.
struct NetworkOutput {
  int64_t width = 0;     ///< classes, or numbers to predict
  Shape positions = {};  ///< shape of the positions that each have an output; (): one output per sample

  /// The size of one vector that holds every position's output.
  int64_t elements() const { return positions.elements() * width; }

  Shape shape() const {
    std::vector<int64_t> extents = extents_of(positions);
    extents.push_back(width);
    return Shape(extents);
  }

  /// Whether a network's output has this shape, ignoring trailing axes of extent 1, or is a vector of the
  /// same size.
  bool accepts(const Shape& output) const {
    const auto trimmed = [](const Shape& from) {
      std::vector<int64_t> extents = extents_of(from);
      while (!extents.empty() && extents.back() == 1) extents.pop_back();
      return extents;
    };
    const bool is_vector = output.rank() == 1 && output[0] == elements();
    return is_vector || trimmed(output) == trimmed(shape());
  }
};

}  // namespace lockstep
