#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y[n, p, c] = a[n, p, c] * b[n, c]. a, y (N, P, C) and b (N, C) of one real type. y may
/// alias a. Enqueues; does not wait.
void multiply_forward(Exec exec, ConstTensor a, ConstTensor b, Tensor y);
/// da = dy * b and db[n, c] = sum over p of dy * a, each unless empty. da may alias dy. The order of the sums
/// depends only on the shape.
void multiply_backward(Exec exec, ConstTensor a, ConstTensor b, ConstTensor dy, Tensor da, Tensor db);

}  // namespace lockstep
