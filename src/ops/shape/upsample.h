#pragma once

#include <array>
#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Enlarges up to three spatial axes by whole factors. Fewer axes have extents and factors of 1 in front.
struct UpsampleSpec {
  int64_t samples = 0, channels = 0;
  std::array<int64_t, 3> extents = {1, 1, 1}, factors = {1, 1, 1};  ///< of the input
  /// false: each value is repeated; true: values are interpolated along each axis between the centres of the
  /// input's elements, and constant outside of them (PyTorch: align_corners=False).
  bool linear = false;

  int64_t outputs(size_t axis) const { return extents[axis] * factors[axis]; }
};

/// x (N, extents..., C) -> y (N, outputs..., C), of one real type. Enqueues; does not wait.
void upsample_forward(Exec exec, const UpsampleSpec& spec, ConstTensor x, Tensor y);
/// Overwrites dx. The order of its sums depends only on the shape.
void upsample_backward(Exec exec, const UpsampleSpec& spec, ConstTensor dy, Tensor dx);

}  // namespace lockstep
