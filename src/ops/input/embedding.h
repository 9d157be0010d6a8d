#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y[r] = weight[ids[r]]: the row of a table that each id names. ids (R) int32, each from 0 to V - 1, which
/// is not checked; weight (V, C), y (R, C) float32. Enqueues; does not wait.
void embedding_forward(Exec exec, ConstTensor ids, ConstTensor weight, Tensor y);

/// dweight (V, C), overwritten: row v is the sum of dy[r] (R, C) over all r with ids[r] = v, in the order of
/// r, so that its bits depend on nothing else; zero where there is none. Enqueues; does not wait.
void embedding_backward(Exec exec, ConstTensor ids, ConstTensor dy, Tensor dweight);

}  // namespace lockstep
