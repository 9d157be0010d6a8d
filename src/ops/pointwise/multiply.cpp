#include "src/ops/pointwise/multiply.h"

#include <algorithm>
#include <vector>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/column_sum.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace {

void check(ConstTensor a, ConstTensor b, ConstTensor y) {
  INVARIANT(a.shape().rank() == 3, "multiply: a is {}", to_string(a.shape()));
  expect_real(a, a.shape(), "multiply: a");
  expect(b, a.dtype(), {a.shape()[0], a.shape()[2]}, "multiply: b");
  expect(y, a.dtype(), a.shape(), "multiply: y");
}

/// y = x * b for each position of each sample.
template <Real T>
void scale(const Shape& shape, const T* x, const T* b, T* y) {
  const int64_t positions = shape[1], channels = shape[2];
  for (int64_t n = 0; n < shape[0]; ++n, b += channels)
    for (int64_t p = 0; p < positions; ++p, x += channels, y += channels)
      for (int64_t c = 0; c < channels; ++c) y[c] = T(x[c] * b[c]);
}

template <Real T>
void sum_products(const Shape& shape, const T* a, const T* dy, T* db) {
  const int64_t positions = shape[1], channels = shape[2];
  std::vector<double> sums(static_cast<size_t>(channels));
  for (int64_t n = 0; n < shape[0]; ++n, a += positions * channels, dy += positions * channels) {
    std::ranges::fill(sums, 0.0);
    cpu::column_sum(positions, channels, sums.data(),
                    [=](int64_t p, int64_t c) { return dy[p * channels + c] * a[p * channels + c]; });
    for (const double sum : sums) *db++ = T(static_cast<float>(sum));
  }
}

}  // namespace

void multiply_forward(Exec exec, ConstTensor a, ConstTensor b, Tensor y) {
  check(a, b, y);
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::multiply_forward(exec, a, b, y);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) { scale(a.shape(), a.data<T>(), b.data<T>(), y.data<T>()); });
}

void multiply_backward(Exec exec, ConstTensor a, ConstTensor b, ConstTensor dy, Tensor da, Tensor db) {
  check(a, b, dy);
  if (da) expect(da, a.dtype(), a.shape(), "multiply: da");
  if (db) expect(db, a.dtype(), b.shape(), "multiply: db");
  if (is_empty(dy)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::multiply_backward(exec, a, b, dy, da, db);
  }
  with_cpu_real(dy.dtype(), [&]<Real T>(T) {
    // First, because da may overwrite dy.
    if (db) sum_products(a.shape(), a.data<T>(), dy.data<T>(), db.data<T>());
    if (da) scale(a.shape(), dy.data<T>(), b.data<T>(), da.data<T>());
  });
}

}  // namespace lockstep
