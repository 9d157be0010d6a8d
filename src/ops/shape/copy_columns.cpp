#include "src/ops/shape/copy_columns.h"

#include <algorithm>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

void copy_columns(Exec exec, int64_t columns, ConstTensor x, int64_t x_first, Tensor y, int64_t y_first) {
  INVARIANT(x.shape().rank() == 2 && y.shape().rank() == 2 && x.shape()[0] == y.shape()[0],
            "copy_columns: {} to {}", to_string(x.shape()), to_string(y.shape()));
  const int64_t rows = x.shape()[0], x_columns = x.shape()[1], y_columns = y.shape()[1];
  expect_real(y, y.shape(), "copy_columns: y");
  expect(x, y.dtype(), x.shape(), "copy_columns: x");
  INVARIANT(0 <= x_first && x_first + columns <= x_columns && 0 <= y_first && y_first + columns <= y_columns,
            "copy_columns: {} columns from {} of {} to {} of {}", columns, x_first, x_columns, y_first,
            y_columns);
  if (rows == 0 || columns == 0) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::copy_columns(exec, columns, x, x_first, y, y_first);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const T* from = x.data<T>() + x_first;
    T* to = y.data<T>() + y_first;
    for (int64_t row = 0; row < rows; ++row, from += x_columns, to += y_columns)
      std::copy_n(from, columns, to);
  });
}

}  // namespace lockstep
