#pragma once

#include <cstdint>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y[row, y_first + i] = x[row, x_first + i] for i < columns; the other columns of y stay as they are. x (R,
/// X) and y (R, Y), of one real type, do not overlap. Enqueues; does not wait.
void copy_columns(Exec exec, int64_t columns, ConstTensor x, int64_t x_first, Tensor y, int64_t y_first);

}  // namespace lockstep
