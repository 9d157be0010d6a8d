#include "src/ops/pool/mean_positions.h"

#include <algorithm>
#include <vector>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/column_sum.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

/// 1 / the sum of a sample's mask, or 0 where that is 0.
template <Real T>
float inverse_sum(const T* mask, int64_t positions) {
  double sum = 0;
  for (int64_t t = 0; t < positions; ++t) sum += mask == nullptr ? 1.0 : double{mask[t]};
  return sum == 0 ? 0 : static_cast<float>(1 / sum);
}

template <Real T>
void mean(const Shape& shape, const T* x, const T* mask, T* y) {
  const int64_t samples = shape[0], positions = shape[1], channels = shape[2];
  std::vector<double> sums(static_cast<size_t>(channels));
  for (int64_t n = 0; n < samples; ++n, x += positions * channels, y += channels) {
    const T* const weights = mask == nullptr ? nullptr : mask + n * positions;
    std::ranges::fill(sums, 0.0);
    column_sum(positions, channels, sums.data(), [=](int64_t row, int64_t column) {
      return x[row * channels + column] * (weights == nullptr ? 1.f : float{weights[row]});
    });
    const double factor = inverse_sum(weights, positions);
    for (int64_t c = 0; c < channels; ++c)
      y[c] = T(static_cast<float>(sums[static_cast<size_t>(c)] * factor));
  }
}

template <Real T>
void gradient(const Shape& shape, const T* mask, const T* dy, T* dx) {
  const int64_t samples = shape[0], positions = shape[1], channels = shape[2];
  for (int64_t n = 0; n < samples; ++n, dy += channels) {
    const T* const weights = mask == nullptr ? nullptr : mask + n * positions;
    const float inverse = inverse_sum(weights, positions);
    for (int64_t t = 0; t < positions; ++t, dx += channels) {
      const float factor = weights == nullptr ? inverse : inverse * weights[t];
      for (int64_t c = 0; c < channels; ++c) dx[c] = T(dy[c] * factor);
    }
  }
}

}  // namespace
}  // namespace cpu

namespace {

void check(const Shape& shape, ConstTensor x, ConstTensor mask, ConstTensor y) {
  INVARIANT(shape.rank() == 3, "mean_positions: {}", to_string(shape));
  expect_real(x, shape, "mean_positions: x");
  if (mask) expect(mask, x.dtype(), {shape[0], shape[1]}, "mean_positions: mask");
  expect(y, x.dtype(), {shape[0], shape[2]}, "mean_positions: y");
}

}  // namespace

void mean_positions_forward(Exec exec, ConstTensor x, ConstTensor mask, Tensor y) {
  check(x.shape(), x, mask, y);
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::mean_positions_forward(exec, x, mask, y);
  }
  with_cpu_real(y.dtype(),
                [&]<Real T>(T) { cpu::mean(x.shape(), x.data<T>(), mask.data<T>(), y.data<T>()); });
}

void mean_positions_backward(Exec exec, ConstTensor mask, ConstTensor dy, Tensor dx) {
  check(dx.shape(), dx, mask, dy);
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::mean_positions_backward(exec, mask, dy, dx);
  }
  with_cpu_real(dx.dtype(),
                [&]<Real T>(T) { cpu::gradient(dx.shape(), mask.data<T>(), dy.data<T>(), dx.data<T>()); });
}

}  // namespace lockstep
