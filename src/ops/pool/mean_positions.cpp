#include "src/ops/pool/mean_positions.h"

#include <algorithm>
#include <vector>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/column_sum.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

namespace cpu {
namespace {

/// 1 / the sum of a sample's mask, or 0 where that is 0.
float inverse_sum(const float* mask, int64_t positions) {
  double sum = 0;
  for (int64_t t = 0; t < positions; ++t) sum += mask == nullptr ? 1 : mask[t];
  return sum == 0 ? 0 : static_cast<float>(1 / sum);
}

}  // namespace
}  // namespace cpu

namespace {

void check(const Shape& shape, ConstTensor x, ConstTensor mask, ConstTensor y) {
  INVARIANT(shape.rank() == 3, "mean_positions: {}", to_string(shape));
  expect(x, DType::f32, shape, "mean_positions: x");
  if (mask) expect(mask, DType::f32, {shape[0], shape[1]}, "mean_positions: mask");
  expect(y, DType::f32, {shape[0], shape[2]}, "mean_positions: y");
}

}  // namespace

void mean_positions_forward(Exec exec, ConstTensor x, ConstTensor mask, Tensor y) {
  check(x.shape(), x, mask, y);
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::mean_positions_forward(exec, x, mask, y);
  }
  const int64_t samples = x.shape()[0], positions = x.shape()[1], channels = x.shape()[2];
  std::vector<double> sums(static_cast<size_t>(channels));
  for (int64_t n = 0; n < samples; ++n) {
    const float* const from = x.data<float>() + n * positions * channels;
    const float* const weights = mask ? mask.data<float>() + n * positions : nullptr;
    std::ranges::fill(sums, 0.0);
    cpu::column_sum(positions, channels, sums.data(), [=](int64_t row, int64_t column) {
      return from[row * channels + column] * (weights == nullptr ? 1 : weights[row]);
    });
    const double factor = cpu::inverse_sum(weights, positions);
    for (int64_t c = 0; c < channels; ++c)
      y.data<float>()[n * channels + c] = static_cast<float>(sums[static_cast<size_t>(c)] * factor);
  }
}

void mean_positions_backward(Exec exec, ConstTensor mask, ConstTensor dy, Tensor dx) {
  check(dx.shape(), dx, mask, dy);
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::mean_positions_backward(exec, mask, dy, dx);
  }
  const int64_t samples = dx.shape()[0], positions = dx.shape()[1], channels = dx.shape()[2];
  for (int64_t n = 0; n < samples; ++n) {
    const float* const weights = mask ? mask.data<float>() + n * positions : nullptr;
    const float* const from = dy.data<float>() + n * channels;
    const float inverse = cpu::inverse_sum(weights, positions);
    for (int64_t t = 0; t < positions; ++t) {
      const float factor = weights == nullptr ? inverse : inverse * weights[t];
      float* const to = dx.data<float>() + (n * positions + t) * channels;
      for (int64_t c = 0; c < channels; ++c) to[c] = from[c] * factor;
    }
  }
}

}  // namespace lockstep
