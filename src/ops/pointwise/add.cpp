#include "src/ops/pointwise/add.h"

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

void add(Exec exec, ConstTensor a, ConstTensor b, Tensor y) {
  expect_real(y, y.shape(), "add: y");
  expect(a, y.dtype(), y.shape(), "add: a");
  expect(b, y.dtype(), y.shape(), "add: b");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::add(exec, a, b, y);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const T *const in_a = a.data<T>(), *const in_b = b.data<T>();
    T* const out = y.data<T>();
    const int64_t count = y.elements();
    for (int64_t i = 0; i < count; ++i) out[i] = T(in_a[i] + in_b[i]);
  });
}

}  // namespace lockstep
