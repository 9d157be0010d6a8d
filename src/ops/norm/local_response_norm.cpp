#include "src/ops/norm/local_response_norm.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

/// scale^-beta. Roots are several times as fast as the general power and exact to the last places.
void inverse_powers(const float* scale, float beta, int64_t channels, float* powers) {
  if (beta == 0.75f) {
    for (int64_t c = 0; c < channels; ++c) {
      const float root = std::sqrt(scale[c]);
      powers[c] = 1 / (root * std::sqrt(root));
    }
  } else {
    for (int64_t c = 0; c < channels; ++c) powers[c] = std::pow(scale[c], -beta);
  }
}

/// sums[c] = the sum of values[c - before] to values[c + after], of those that exist. One distance at a time,
/// so that the inner loop runs over adjacent channels.
void neighbour_sums(const std::vector<float>& values, int64_t before, int64_t after,
                    std::vector<double>& sums) {
  const auto channels = static_cast<int64_t>(values.size());
  std::ranges::fill(sums, 0.0);
  for (int64_t distance = std::max(-before, 1 - channels); distance <= std::min(after, channels - 1);
       ++distance) {
    const int64_t first = std::max<int64_t>(0, -distance), end = std::min(channels, channels - distance);
    const float* const from = values.data() + (first + distance);
    double* const to = sums.data() + first;
    for (int64_t i = 0; i < end - first; ++i) to[i] += from[i];
  }
}

template <Real T>
void forward(const LocalResponseNormSpec& spec, int64_t rows, int64_t channels, const T* x, T* y,
             float* scale) {
  const double factor = double{spec.alpha} / static_cast<double>(spec.size);
  std::vector<float> squares(static_cast<size_t>(channels)), powers(squares.size());
  std::vector<double> sums(squares.size());
  for (int64_t row = 0; row < rows; ++row, x += channels, y += channels, scale += channels) {
    std::transform(x, x + channels, squares.begin(), [](float value) { return value * value; });
    neighbour_sums(squares, spec.size / 2, (spec.size - 1) / 2, sums);
    for (int64_t c = 0; c < channels; ++c)
      scale[c] = static_cast<float>(double{spec.k} + factor * sums[static_cast<size_t>(c)]);
    inverse_powers(scale, spec.beta, channels, powers.data());
    for (int64_t c = 0; c < channels; ++c) y[c] = T(x[c] * powers[static_cast<size_t>(c)]);
  }
}

template <Real T>
void backward(const LocalResponseNormSpec& spec, int64_t rows, int64_t channels, const T* x,
              const float* scale, const T* dy, T* dx) {
  const double factor = 2 * double{spec.alpha} * double{spec.beta} / static_cast<double>(spec.size);
  std::vector<float> products(static_cast<size_t>(channels)), powers(products.size());
  std::vector<double> sums(products.size());
  for (int64_t row = 0; row < rows; ++row, x += channels, scale += channels, dy += channels, dx += channels) {
    inverse_powers(scale, spec.beta, channels, powers.data());
    for (int64_t c = 0; c < channels; ++c) {
      const auto i = static_cast<size_t>(c);
      products[i] = dy[c] * x[c] * powers[i] / scale[c];
    }
    // A channel counts in the scales of those whose neighbour it is, on the other side.
    neighbour_sums(products, (spec.size - 1) / 2, spec.size / 2, sums);
    for (int64_t c = 0; c < channels; ++c) {
      const auto i = static_cast<size_t>(c);
      dx[c] = T(dy[c] * powers[i] - static_cast<float>(factor * sums[i]) * x[c]);
    }
  }
}

}  // namespace
}  // namespace cpu

namespace {

/// y: of the type of all tensors but the scale.
void check(const LocalResponseNormSpec& spec, ConstTensor x, ConstTensor scale, ConstTensor y,
           const char* what) {
  INVARIANT(x.shape().rank() == 2 && spec.size > 0, "local_response_norm: {} channels of {}", spec.size,
            to_string(x.shape()));
  expect_real(y, x.shape(), what);
  expect(x, y.dtype(), x.shape(), "local_response_norm: x");
  expect(scale, DType::f32, x.shape(), "local_response_norm: scale");
}

}  // namespace

void local_response_norm_forward(Exec exec, const LocalResponseNormSpec& spec, ConstTensor x, Tensor y,
                                 Tensor scale) {
  check(spec, x, scale, y, "local_response_norm: y");
  if (is_empty(x)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::local_response_norm_forward(exec, spec, x, y, scale);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    cpu::forward(spec, x.shape()[0], x.shape()[1], x.data<T>(), y.data<T>(), scale.data<float>());
  });
}

void local_response_norm_backward(Exec exec, const LocalResponseNormSpec& spec, ConstTensor x,
                                  ConstTensor scale, ConstTensor dy, Tensor dx) {
  check(spec, x, scale, dx, "local_response_norm: dx");
  expect(dy, dx.dtype(), x.shape(), "local_response_norm: dy");
  if (is_empty(x)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::local_response_norm_backward(exec, spec, x, scale, dy, dx);
  }
  with_cpu_real(dx.dtype(), [&]<Real T>(T) {
    cpu::backward(spec, x.shape()[0], x.shape()[1], x.data<T>(), scale.data<float>(), dy.data<T>(),
                  dx.data<T>());
  });
}

}  // namespace lockstep
