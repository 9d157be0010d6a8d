#include "src/ops/check.h"

#include "src/tensor/real.h"

namespace lockstep {

void expect_shape(ConstTensor tensor, const Shape& shape, const char* what) {
  INVARIANT(tensor.shape() == shape, "{} is {}, not {}", what, to_string(tensor.shape()), to_string(shape));
  INVARIANT(tensor || is_empty(tensor), "{} of {} has no memory", what, to_string(shape));
}

void expect(ConstTensor tensor, DType dtype, const Shape& shape, const char* what) {
  expect_shape(tensor, shape, what);
  INVARIANT(tensor.dtype() == dtype, "{} is of {}, not {}", what, to_string(tensor.dtype()),
            to_string(dtype));
}

void expect_real(ConstTensor tensor, const Shape& shape, const char* what) {
  expect_shape(tensor, shape, what);
  INVARIANT(is_real(tensor.dtype()), "{} is of {}, not of real numbers", what, to_string(tensor.dtype()));
}

void expect_workspace(Tensor workspace, size_t bytes, const char* what) {
  INVARIANT(workspace.bytes() >= bytes, "{}: a workspace of {} bytes, but {} are needed", what,
            workspace.bytes(), bytes);
}

}  // namespace lockstep
