#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y = x + b along the last axis, of one real type, or with `relu` max(0, x + b). x and y (..., C), y may
/// alias x; b (C).
void bias_forward(Exec exec, ConstTensor x, ConstTensor b, Tensor y, bool relu = false);
/// db (C) float, overwritten: the sum of dy (..., C), of any real type, over all rows, in an order that
/// depends only on the shape.
void bias_backward(Exec exec, ConstTensor dy, Tensor db);
/// The same behind a ReLU with output y: dy (..., C) becomes the gradient before the ReLU, and db its sum. db
/// may be empty.
void bias_relu_backward(Exec exec, ConstTensor y, Tensor dy, Tensor db);

}  // namespace lockstep
