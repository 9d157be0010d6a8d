#include "src/ops/pointwise/scale.h"

#include <cstdint>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

void scale(Exec exec, float factor, ConstTensor x, Tensor y) {
  expect_real(y, y.shape(), "scale: y");
  expect(x, y.dtype(), y.shape(), "scale: x");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::scale(exec, factor, x, y);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const T* const in = x.data<T>();
    T* const out = y.data<T>();
    const int64_t count = y.elements();
    for (int64_t i = 0; i < count; ++i) out[i] = T(factor * in[i]);
  });
}

}  // namespace lockstep
