#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Across `size` channels around each: channels c - size / 2 to c + (size - 1) / 2, as far as they exist.
struct LocalResponseNormSpec {
  int64_t size = 5;  ///< at least 1
  /// As in PyTorch, `alpha` is divided by `size`; Krizhevsky et al. do not divide it.
  float alpha = 1e-4f, beta = 0.75f, k = 1;
};

/// y = x / scale^beta, with scale = k + alpha / size * the sum of x^2 over the channels around (Krizhevsky et
/// al. 2012, section 3.3; PyTorch's LocalResponseNorm). x and y (rows, C) of one real type; scale (rows, C)
/// float, kept for backward. Enqueues; does not wait.
void local_response_norm_forward(Exec exec, const LocalResponseNormSpec& spec, ConstTensor x, Tensor y,
                                 Tensor scale);
/// Overwrites dx. The order of its sums depends only on the shape.
void local_response_norm_backward(Exec exec, const LocalResponseNormSpec& spec, ConstTensor x,
                                  ConstTensor scale, ConstTensor dy, Tensor dx);

}  // namespace lockstep
