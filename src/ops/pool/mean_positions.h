#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y[n] = sum_t mask[n, t] x[n, t] / sum_t mask[n, t], or 0 where that sum is 0. x (N, T, C); mask (N, T),
/// not negative, or empty: all 1; y (N, C); all of one real type. Enqueues; does not wait.
void mean_positions_forward(Exec exec, ConstTensor x, ConstTensor mask, Tensor y);

/// The gradient dx of x. The mask has none.
void mean_positions_backward(Exec exec, ConstTensor mask, ConstTensor dy, Tensor dx);

}  // namespace lockstep
