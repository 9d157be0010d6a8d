#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep::cuda {

/// y = max(0, y + b) along the last axis, in one pass; b (C) or empty. For operations whose library does not
/// fuse it.
void bias_relu_in_place(Exec exec, ConstTensor b, Tensor y);

}  // namespace lockstep::cuda
