#include "src/ops/pointwise/add.h"

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

void add(Exec exec, ConstTensor a, ConstTensor b, Tensor y) {
  expect(a, DType::f32, y.shape(), "add: a");
  expect(b, DType::f32, y.shape(), "add: b");
  expect(y, DType::f32, y.shape(), "add: y");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::add(exec, a, b, y);
  }
  const float* in_a = a.data<float>();
  const float* in_b = b.data<float>();
  float* out = y.data<float>();
  const int64_t count = y.elements();
  for (int64_t i = 0; i < count; ++i) out[i] = in_a[i] + in_b[i];
}

}  // namespace lockstep
