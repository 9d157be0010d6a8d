#include "src/ops/pointwise/bias.h"

#include <algorithm>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/column_sum.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

void bias_forward(Exec exec, ConstTensor x, ConstTensor b, Tensor y) {
  const int64_t channels = x.shape()[-1];
  expect(x, DType::f32, y.shape(), "bias: x");
  expect(b, DType::f32, {channels}, "bias: b");
  expect(y, DType::f32, x.shape(), "bias: y");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::bias_forward(exec, x, b, y);
  }
  const float* in = x.data<float>();
  const float* bias = b.data<float>();
  float* out = y.data<float>();
  const int64_t rows = x.elements() / channels;
  for (int64_t row = 0; row < rows; ++row, in += channels, out += channels)
    for (int64_t c = 0; c < channels; ++c) out[c] = in[c] + bias[c];
}

void bias_backward(Exec exec, ConstTensor dy, Tensor db) {
  const int64_t channels = dy.shape()[-1];
  expect(dy, DType::f32, dy.shape(), "bias: dy");
  expect(db, DType::f32, {channels}, "bias: db");
  if (channels == 0) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::bias_backward(exec, dy, db);
  }
  const float* in = dy.data<float>();
  std::vector<double> sums(static_cast<size_t>(channels));
  cpu::column_sum(dy.elements() / channels, channels, sums.data(),
                  [=](int64_t row, int64_t c) { return in[row * channels + c]; });
  std::copy(sums.begin(), sums.end(), db.data<float>());
}

}  // namespace lockstep
