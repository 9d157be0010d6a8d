#pragma once

#include <cstddef>

#include "src/device/exec.h"
#include "src/tensor/tensor.h"

namespace lockstep {

/// y[r] = weight[ids[r]]: looks up one row of a table for each id. ids (R) int32 in [0, V), not checked;
/// weight (V, C) and y (R, C) of one real type. Enqueues; does not wait.
void embedding_forward(Exec exec, ConstTensor ids, ConstTensor weight, Tensor y);

/// dweight (V, C) float, overwritten: row v is the sum of dy[r] (R, C), of any real type, over all r with
/// ids[r] == v, in an order that depends only on the ids. Zero for an id that does not occur. Rows are first
/// sorted by their ids, so that the time grows with R, and with V only to set dweight to zero. Enqueues; does
/// not wait.
void embedding_backward(Exec exec, ConstTensor ids, ConstTensor dy, Tensor dweight, Tensor workspace);
/// For R rows.
size_t embedding_workspace_bytes(Exec exec, int64_t rows);

}  // namespace lockstep
