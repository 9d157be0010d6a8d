#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Adds zeros before and after the elements of up to three spatial axes. Fewer axes have extents of 1 in
/// front.
struct PadSpec {
  int64_t samples = 0, channels = 0;
  std::array<int64_t, 3> extents = {1, 1, 1};                    ///< of the input
  std::array<int64_t, 3> before = {0, 0, 0}, after = {0, 0, 0};  ///< not negative

  int64_t outputs(size_t axis) const { return before[axis] + extents[axis] + after[axis]; }
  Shape input_shape() const { return {samples, extents[0], extents[1], extents[2], channels}; }
  Shape output_shape() const { return {samples, outputs(0), outputs(1), outputs(2), channels}; }
};

/// x (input_shape()) -> y (output_shape()), of one real type. Enqueues; does not wait.
void pad_forward(Exec exec, const PadSpec& spec, ConstTensor x, Tensor y);
/// dx = dy without the border.
void pad_backward(Exec exec, const PadSpec& spec, ConstTensor dy, Tensor dx);

}  // namespace lockstep
