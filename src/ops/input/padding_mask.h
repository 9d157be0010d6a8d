#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// mask[i] = 0 where ids[i] == padding, else 1. ids int32, mask of any real type, of one shape. Enqueues;
/// does not wait.
void padding_mask(Exec exec, int32_t padding, ConstTensor ids, Tensor mask);

}  // namespace lockstep
