#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y = a + b, elementwise, of one real type; y may alias either. Enqueues; does not wait.
void add(Exec exec, ConstTensor a, ConstTensor b, Tensor y);

}  // namespace lockstep
