#pragma once

#include "src/tensor/tensor.h"

namespace lockstep {

/// Throws Error(bug) unless `tensor` is present and has this type and shape; `what` names it: "conv2d: x".
void expect(ConstTensor tensor, DType dtype, const Shape& shape, const char* what);

/// The same for any type.
void expect_shape(ConstTensor tensor, const Shape& shape, const char* what);

/// The same for any type of real numbers (src/tensor/real.h).
void expect_real(ConstTensor tensor, const Shape& shape, const char* what);

/// Throws Error(bug) unless `workspace` holds at least this much.
void expect_workspace(Tensor workspace, size_t bytes, const char* what);

/// Decided by the shape, because a tensor without elements may have no memory.
inline bool is_empty(ConstTensor tensor) { return tensor.shape().elements() == 0; }

}  // namespace lockstep
