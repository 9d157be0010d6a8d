#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y = factor * x, elementwise, of one real type; y may alias x. Enqueues; does not wait.
void scale(Exec exec, float factor, ConstTensor x, Tensor y);

}  // namespace lockstep
