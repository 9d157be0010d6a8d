#include "src/ops/pointwise/bias.h"

#include <algorithm>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/column_sum.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/store.h"
#include "src/tensor/real.h"

namespace lockstep {

void bias_forward(Exec exec, ConstTensor x, ConstTensor b, Tensor y, bool relu) {
  const int64_t channels = x.shape()[-1];
  expect_real(y, x.shape(), "bias: y");
  expect(x, y.dtype(), y.shape(), "bias: x");
  expect(b, y.dtype(), {channels}, "bias: b");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::bias_forward(exec, x, b, y, relu);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    const T *in = x.data<T>(), *const bias = b.data<T>();
    T* out = y.data<T>();
    const int64_t rows = x.elements() / channels;
    for (int64_t row = 0; row < rows; ++row, in += channels, out += channels) {
      if (relu)
        for (int64_t c = 0; c < channels; ++c) {
          const float sum = in[c] + bias[c];
          out[c] = T(sum < 0 ? 0 : sum);  // NaN stays
        }
      else
        for (int64_t c = 0; c < channels; ++c) out[c] = T(in[c] + bias[c]);
    }
  });
}

void bias_backward(Exec exec, ConstTensor dy, Tensor db) {
  const int64_t channels = dy.shape()[-1];
  expect_real(dy, dy.shape(), "bias: dy");
  expect(db, DType::f32, {channels}, "bias: db");
  if (channels == 0) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::bias_backward(exec, dy, db);
  }
  std::vector<double> sums(static_cast<size_t>(channels));
  with_cpu_real(dy.dtype(), [&]<Real T>(T) {
    const T* const in = dy.data<T>();
    cpu::column_sum(dy.elements() / channels, channels, sums.data(),
                    [=](int64_t row, int64_t c) -> float { return in[row * channels + c]; });
  });
  std::copy(sums.begin(), sums.end(), db.data<float>());
}

void bias_activation_backward(Exec exec, Activation activation, ConstTensor kept, Tensor dy, Tensor db) {
  if (!db) return activation_backward(exec, activation, kept, dy, dy);
  INVARIANT(
      activation == Activation::relu || activation == Activation::gelu || activation == Activation::gelu_tanh,
      "bias: behind it {}", to_string(activation));
  const int64_t channels = dy.shape()[-1];
  expect_real(dy, kept.shape(), "bias: dy");
  expect(kept, dy.dtype(), dy.shape(), "bias: kept");
  expect(db, DType::f32, {channels}, "bias: db");
  if (channels == 0) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::bias_activation_backward(exec, activation, kept, dy, db);
  }
  std::vector<double> sums(static_cast<size_t>(channels));
  with_cpu_real(dy.dtype(), [&]<Real T>(T) {
    const T* const in = kept.data<T>();
    T* const gradient = dy.data<T>();
    cpu::for_row_blocks(dy.elements() / channels, [&](int64_t begin, int64_t end) {
      if (activation == Activation::relu) {
#pragma omp simd
        for (int64_t i = begin * channels; i < end * channels; ++i)
          cpu::store_if(in[i] > 0.0f, gradient[i], gradient[i]);
      } else {
        const Shape block = {end - begin, channels};
        const Tensor rows(gradient + begin * channels, dy.dtype(), block);
        activation_backward(exec, activation, {in + begin * channels, dy.dtype(), block}, rows, rows);
      }
      cpu::add_columns(begin, end, channels, sums.data(),
                       [=](int64_t row, int64_t c) -> float { return gradient[row * channels + c]; });
    });
  });
  std::copy(sums.begin(), sums.end(), db.data<float>());
}

}  // namespace lockstep
