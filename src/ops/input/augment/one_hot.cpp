#include "src/ops/input/augment/one_hot.h"

#include <algorithm>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"

namespace lockstep {

void one_hot(Exec exec, ConstTensor labels, Tensor y) {
  INVARIANT(y.shape().rank() == 2, "one_hot: y is {}", to_string(y.shape()));
  expect(y, DType::f32, y.shape(), "one_hot: y");
  expect(labels, DType::i32, {y.shape()[0]}, "one_hot: labels");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::one_hot(exec, labels, y);
  }
  const int64_t classes = y.shape()[1];
  float* const to = y.data<float>();
  std::fill_n(to, y.elements(), 0.f);
  for (int64_t n = 0; n < y.shape()[0]; ++n) to[n * classes + labels.data<int32_t>()[n]] = 1;
}

}  // namespace lockstep
