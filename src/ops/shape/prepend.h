#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y[n, 0] = token, y[n, 1 + t] = x[n, t]: the same vector in front of each sequence. token (C), x (N, T, C)
/// and y (N, T + 1, C), which aliases nothing, are of one real type. Enqueues; does not wait.
void prepend_forward(Exec exec, ConstTensor token, ConstTensor x, Tensor y);

/// dx (N, T, C) or empty, of the type of dy; dtoken (C) float or empty: the sum of dy[n, 0] over n, in an
/// order that depends only on the shape.
void prepend_backward(Exec exec, ConstTensor dy, Tensor dx, Tensor dtoken);

}  // namespace lockstep
