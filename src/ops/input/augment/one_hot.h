#pragma once

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// Labels as probabilities: y (N, C) float32 is 1 at the label of its row and 0 elsewhere. labels (N) int32
/// in [0, C). Enqueues; does not wait.
void one_hot(Exec exec, ConstTensor labels, Tensor y);

namespace cuda {
void one_hot(Exec exec, ConstTensor labels, Tensor y);
}  // namespace cuda

}  // namespace lockstep
