#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "src/tensor/shape.h"

namespace lockstep {

/// What a network has to give for one sample: at each position so many numbers.
struct NetworkOutput {
  int64_t width = 0;    ///< classes, or numbers to predict
  Shape positions = {};  ///< of the targets, which each have an answer of their own; (): one answer a sample

  // A number alone is the width, and where one number is wanted it is that of all outputs.
  NetworkOutput(int64_t width_of_each, const Shape& at = {}) : width(width_of_each), positions(at) {}
  operator int64_t() const { return positions.elements() * width; }

  Shape shape() const {
    std::vector<int64_t> extents(positions.extents().begin(), positions.extents().end());
    extents.push_back(width);
    return Shape(extents);
  }

  /// Whether a network's output is that: all of it in one vector, or position by position. Axes of one value
  /// at the end make no difference.
  bool accepts(const Shape& output) const {
    const auto trimmed = [](const Shape& from) {
      std::vector<int64_t> extents(from.extents().begin(), from.extents().end());
      while (!extents.empty() && extents.back() == 1) extents.pop_back();
      return extents;
    };
    const bool is_vector = output.rank() == 1 && output[0] == int64_t{*this};
    return is_vector || trimmed(output) == trimmed(shape());
  }
};

}  // namespace lockstep
