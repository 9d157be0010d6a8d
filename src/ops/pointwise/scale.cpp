#include "src/ops/pointwise/scale.h"

#include <cstdint>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

void scale(Exec exec, float factor, ConstTensor x, Tensor y) {
  expect(x, DType::f32, y.shape(), "scale: x");
  expect(y, DType::f32, y.shape(), "scale: y");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::scale(exec, factor, x, y);
  }
  const float* in = x.data<float>();
  float* out = y.data<float>();
  const int64_t count = y.elements();
  for (int64_t i = 0; i < count; ++i) out[i] = factor * in[i];
}

}  // namespace lockstep
