#pragma once

#include <algorithm>

#include "src/graph/layers/description.h"

namespace lockstep {

/// Padding of one axis.
struct Sides {
  int64_t before = 0, after = 0;
};

/// "same" as in TensorFlow and Keras: an output for each stride that begins in the input, and if an odd
/// number of zeros is needed for that, the additional one is at the end. span: what a window covers, holes
/// included.
inline Sides sides_of(const Padding& padding, int axis, int64_t extent, int64_t span, int64_t stride) {
  if (!padding.is_same()) return {padding.extents()[axis], padding.extents()[axis]};
  const int64_t outputs = (extent + stride - 1) / stride;
  const int64_t needed = std::max<int64_t>((outputs - 1) * stride + span - extent, 0);
  return {needed / 2, needed - needed / 2};
}

}  // namespace lockstep
