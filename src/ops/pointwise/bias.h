#pragma once

#include "src/device/exec.h"
#include "src/ops/pointwise/activation.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y = x + b along the last axis, of one real type, or with `relu` max(0, x + b). x and y (..., C), y may
/// alias x; b (C).
void bias_forward(Exec exec, ConstTensor x, ConstTensor b, Tensor y, bool relu = false);
/// db (C) float, overwritten: the sum of dy (..., C), of any real type, over all rows, in an order that
/// depends only on the shape.
void bias_backward(Exec exec, ConstTensor dy, Tensor db);
/// The same behind an activation, which is relu, gelu or gelu_tanh: dy (..., C) becomes the gradient before
/// it, and db its sum. kept like dy: what the activation was applied to, or its result, as
/// backward_reads_input() says. db may be empty.
void bias_activation_backward(Exec exec, Activation activation, ConstTensor kept, Tensor dy, Tensor db);

}  // namespace lockstep
