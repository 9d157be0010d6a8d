#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y = x in the type of y. One of the two types is f32, the other any real type; the two do not overlap.
/// Enqueues; does not wait.
void cast(Exec exec, ConstTensor x, Tensor y);

}  // namespace lockstep
