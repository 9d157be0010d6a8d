#include "src/ops/pointwise/cast.h"

#include "src/device/buffer.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/narrow.h"

namespace lockstep {

void cast(Exec exec, ConstTensor x, Tensor y) {
  expect_real(x, y.shape(), "cast: x");
  expect_real(y, y.shape(), "cast: y");
  INVARIANT(x.dtype() == DType::f32 || y.dtype() == DType::f32, "cast: from {} to {}", to_string(x.dtype()),
            to_string(y.dtype()));
  if (is_empty(y)) return;
  if (x.dtype() == y.dtype()) return copy(exec, y.raw(), x.raw(), y.bytes());
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::cast(exec, x, y);
  }
  if (y.dtype() == DType::f32)
    cpu::widen(x.dtype(), static_cast<const uint16_t*>(x.raw()), y.data<float>(), y.elements());
  else
    cpu::narrow(y.dtype(), x.data<float>(), static_cast<uint16_t*>(y.raw()), y.elements());
}

}  // namespace lockstep
