#include "src/ops/shape/prepend.h"

#include <algorithm>
#include <vector>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/column_sum.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/shape/copy_columns.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace {

/// (N, T C) of a tensor (N, T, C).
template <typename AnyTensor>
AnyTensor as_rows(const AnyTensor& tensor) {
  return tensor.reshaped({tensor.shape()[0], tensor.shape()[1] * tensor.shape()[2]});
}

}  // namespace

void prepend_forward(Exec exec, ConstTensor token, ConstTensor x, Tensor y) {
  INVARIANT(x.shape().rank() == 3, "prepend: x is {}", to_string(x.shape()));
  const int64_t samples = x.shape()[0], positions = x.shape()[1], channels = x.shape()[2];
  expect_real(y, {samples, positions + 1, channels}, "prepend: y");
  expect(token, y.dtype(), {channels}, "prepend: token");
  expect(x, y.dtype(), x.shape(), "prepend: x");
  copy_columns(exec, positions * channels, as_rows(x), 0, as_rows(y), channels);
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::prepend_token(exec, token, y);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const T* const from = token.data<T>();
    for (int64_t n = 0; n < samples; ++n)
      std::copy_n(from, channels, y.data<T>() + n * (positions + 1) * channels);
  });
}

void prepend_backward(Exec exec, ConstTensor dy, Tensor dx, Tensor dtoken) {
  INVARIANT(dy.shape().rank() == 3 && dy.shape()[1] > 0, "prepend: dy is {}", to_string(dy.shape()));
  const int64_t samples = dy.shape()[0], positions = dy.shape()[1] - 1, channels = dy.shape()[2];
  expect_real(dy, dy.shape(), "prepend: dy");
  if (dx) {
    expect(dx, dy.dtype(), {samples, positions, channels}, "prepend: dx");
    copy_columns(exec, positions * channels, as_rows(dy), channels, as_rows(dx), 0);
  }
  if (!dtoken) return;
  expect(dtoken, DType::f32, {channels}, "prepend: dtoken");
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::prepend_token_gradient(exec, dy, dtoken);
  }
  std::vector<double> sums(static_cast<size_t>(channels));
  with_cpu_real(dy.dtype(), [&]<Real T>(T) {
    const T* const from = dy.data<T>();
    const int64_t stride = (positions + 1) * channels;
    cpu::column_sum(samples, channels, sums.data(),
                    [=](int64_t row, int64_t column) -> float { return from[row * stride + column]; });
  });
  std::copy(sums.begin(), sums.end(), dtoken.data<float>());
}

}  // namespace lockstep
