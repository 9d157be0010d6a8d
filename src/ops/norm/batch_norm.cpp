#include "src/ops/norm/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/column_sum.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/norm/batch_norm_cpu.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {

Rows rows_of(const MicroBatchInfo& info, const Shape& shape) {
  const int64_t samples = shape[0], channels = shape[-1];
  const int64_t per_sample = samples == 0 ? 0 : shape.elements() / (samples * channels);
  return {samples * per_sample, std::clamp<int64_t>(info.valid, 0, samples) * per_sample, per_sample,
          channels};
}

namespace {

/// y = (x - mean[c]) * factor[c] + offset[c] over `rows` rows: near the mean the difference is exact.
template <Real T>
void scale_and_shift(const T* x, int64_t rows, int64_t channels, const float* mean, const float* factor,
                     const float* offset, T* y) {
  for (int64_t row = 0; row < rows; ++row, x += channels, y += channels)
    for (int64_t c = 0; c < channels; ++c) y[c] = T((x[c] - mean[c]) * factor[c] + offset[c]);
}

/// dx = factor (dy - mean_dy - (x - mean) slope) over the real rows, zero after them.
template <Real T>
void combine(const Rows& rows, const T* x, const T* dy, const float* mean, const float* factor,
             const float* slope, const float* mean_dy, T* dx) {
  const int64_t channels = rows.channels;
  for (int64_t row = 0; row < rows.valid; ++row, x += channels, dy += channels, dx += channels)
    for (int64_t c = 0; c < channels; ++c)
      dx[c] = T(factor[c] * (dy[c] - mean_dy[c] - (x[c] - mean[c]) * slope[c]));
  std::fill_n(dx, (rows.all - rows.valid) * channels, T(0));
}

double count_of(const Rows& rows) { return static_cast<double>(std::max<int64_t>(rows.valid, 1)); }

}  // namespace

namespace {

template <Real T>
Moments moments_of(const Rows& rows, const T* x, float* mean) {
  const int64_t channels = rows.channels;
  Moments moments{std::vector<double>(static_cast<size_t>(channels)),
                  std::vector<double>(static_cast<size_t>(channels))};
  // Relative to the first row, whose distance from the mean is about the spread.
  column_sum(rows.valid, channels, moments.deviations.data(),
             [=](int64_t row, int64_t c) { return x[row * channels + c] - x[c]; });
  for (int64_t c = 0; c < channels; ++c) {
    double& deviations = moments.deviations[static_cast<size_t>(c)];
    const double first = rows.valid == 0 ? 0.0 : double{x[c]};
    mean[c] = static_cast<float>(first + deviations / count_of(rows));
    deviations += static_cast<double>(rows.valid) * (first - mean[c]);
  }
  column_sum(rows.valid, channels, moments.squares.data(), [=](int64_t row, int64_t c) {
    const float deviation = x[row * channels + c] - mean[c];
    return deviation * deviation;
  });
  return moments;
}

}  // namespace

Moments moments_of(const Rows& rows, ConstTensor x, float* mean) {
  Moments moments;
  with_cpu_real(x.dtype(), [&]<Real T>(T) { moments = moments_of(rows, x.data<T>(), mean); });
  return moments;
}

void normalize(const Rows& rows, const MicroBatchInfo& info, const Statistics& statistics, float epsilon,
               ConstTensor x, const float* scale, const float* shift, const float* running, Tensor y,
               float* saved_mean, float* saved_inverse_std, float* sums) {
  const int64_t channels = rows.channels;
  const double count = statistics.count;
  std::vector<float> factor(static_cast<size_t>(channels)), offset(factor.size());
  for (size_t c = 0; c < factor.size(); ++c) {
    const double inverse_std = 1 / std::sqrt(statistics.squares[c] / count + epsilon);
    saved_mean[c] = static_cast<float>(statistics.mean[c]);
    saved_inverse_std[c] = static_cast<float>(inverse_std);
    factor[c] = static_cast<float>(inverse_std) * scale[c];
    offset[c] = static_cast<float>(shift[c] - (statistics.mean[c] - saved_mean[c]) * factor[c]);
    const size_t variance = static_cast<size_t>(channels) + c;
    sums[c] = static_cast<float>(info.valid * statistics.mean[c]);
    sums[variance] = static_cast<float>(
        info.valid * (count > 1 ? statistics.squares[c] / (count - 1) : double{running[variance]}));
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    T* const out = y.data<T>();
    scale_and_shift(x.data<T>(), rows.valid, channels, saved_mean, factor.data(), offset.data(), out);
    std::fill(out + rows.valid * channels, out + rows.all * channels, T(0));
  });
}

GradientSums gradient_sums_of(const Rows& rows, ConstTensor x, const float* mean, const float* inverse_std,
                              ConstTensor dy, float* dscale, float* dshift) {
  const int64_t channels = rows.channels;
  GradientSums sums{std::vector<double>(static_cast<size_t>(channels)),
                    std::vector<double>(static_cast<size_t>(channels))};
  with_cpu_real(x.dtype(), [&]<Real T>(T) {
    const T *const in = x.data<T>(), *const gradient = dy.data<T>();
    column_sum(rows.valid, channels, sums.dy.data(),
               [=](int64_t row, int64_t c) -> float { return gradient[row * channels + c]; });
    column_sum(rows.valid, channels, sums.dy_normalized.data(), [=](int64_t row, int64_t c) {
      return gradient[row * channels + c] * (in[row * channels + c] - mean[c]);
    });
  });
  for (size_t c = 0; c < sums.dy.size(); ++c) {
    sums.dy_normalized[c] *= inverse_std[c];
    dshift[c] = static_cast<float>(sums.dy[c]);
    dscale[c] = static_cast<float>(sums.dy_normalized[c]);
  }
  return sums;
}

void input_gradient(const Rows& rows, double count, const GradientSums& sums, ConstTensor x,
                    const float* scale, const float* mean, const float* inverse_std, ConstTensor dy,
                    Tensor dx) {
  const int64_t channels = rows.channels;
  // dx = factor (dy - mean(dy) - normalized x * mean(dy * normalized x)) as one fused line per element.
  std::vector<float> factor(static_cast<size_t>(channels)), slope(factor.size()), mean_dy(factor.size());
  for (size_t c = 0; c < factor.size(); ++c) {
    factor[c] = scale[c] * inverse_std[c];
    slope[c] = static_cast<float>(sums.dy_normalized[c] * inverse_std[c] / count);
    mean_dy[c] = static_cast<float>(sums.dy[c] / count);
  }
  with_cpu_real(dx.dtype(), [&]<Real T>(T) {
    combine(rows, x.data<T>(), dy.data<T>(), mean, factor.data(), slope.data(), mean_dy.data(), dx.data<T>());
  });
}

namespace {

void forward(const Rows& rows, const MicroBatchInfo& info, float epsilon, ConstTensor x, const float* scale,
             const float* shift, const float* running, Tensor y, float* saved_mean, float* saved_inverse_std,
             float* sums) {
  const double count = count_of(rows);
  Moments moments = moments_of(rows, x, saved_mean);
  for (size_t c = 0; c < moments.squares.size(); ++c) {
    const double offset = moments.deviations[c] / count;
    moments.squares[c] -= std::min(moments.squares[c], count * offset * offset);
    moments.deviations[c] = saved_mean[c] + offset;
  }
  const Statistics statistics{count, std::move(moments.deviations), std::move(moments.squares)};
  normalize(rows, info, statistics, epsilon, x, scale, shift, running, y, saved_mean, saved_inverse_std,
            sums);
}

void backward(const Rows& rows, ConstTensor x, const float* scale, const float* mean,
              const float* inverse_std, ConstTensor dy, Tensor dx, float* dscale, float* dshift) {
  const GradientSums sums = gradient_sums_of(rows, x, mean, inverse_std, dy, dscale, dshift);
  input_gradient(rows, count_of(rows), sums, x, scale, mean, inverse_std, dy, dx);
}

}  // namespace
}  // namespace cpu

void batch_norm_forward(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                        ConstTensor scale, ConstTensor shift, ConstTensor running, Tensor y,
                        Tensor saved_mean, Tensor saved_inverse_std, Tensor sums) {
  INVARIANT(x.shape().rank() >= 2, "batch_norm: x {} has no batch or no channels", to_string(x.shape()));
  const int64_t channels = x.shape()[-1];
  expect(x, y.dtype(), y.shape(), "batch_norm: x");
  expect(scale, DType::f32, {channels}, "batch_norm: scale");
  expect(shift, DType::f32, {channels}, "batch_norm: shift");
  expect(running, DType::f32, {2, channels}, "batch_norm: running");
  expect_real(y, x.shape(), "batch_norm: y");
  expect(saved_mean, DType::f32, {channels}, "batch_norm: saved_mean");
  expect(saved_inverse_std, DType::f32, {channels}, "batch_norm: saved_inverse_std");
  expect(sums, DType::f32, {2, channels}, "batch_norm: sums");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::batch_norm_forward(exec, info, epsilon, x, scale, shift, running, y, saved_mean,
                                      saved_inverse_std, sums);
  }
  const cpu::Rows rows = cpu::rows_of(*info, x.shape());
  cpu::forward(rows, *info, epsilon, x, scale.data<float>(), shift.data<float>(), running.data<float>(), y,
               saved_mean.data<float>(), saved_inverse_std.data<float>(), sums.data<float>());
}

void batch_norm_backward(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                         ConstTensor saved_mean, ConstTensor saved_inverse_std, ConstTensor dy, Tensor dx,
                         Tensor dscale, Tensor dshift) {
  INVARIANT(x.shape().rank() >= 2, "batch_norm: x {} has no batch or no channels", to_string(x.shape()));
  const int64_t channels = x.shape()[-1];
  expect_real(dx, x.shape(), "batch_norm: dx");
  expect(x, dx.dtype(), dx.shape(), "batch_norm: x");
  expect(scale, DType::f32, {channels}, "batch_norm: scale");
  expect(saved_mean, DType::f32, {channels}, "batch_norm: saved_mean");
  expect(saved_inverse_std, DType::f32, {channels}, "batch_norm: saved_inverse_std");
  expect(dy, dx.dtype(), x.shape(), "batch_norm: dy");
  expect(dscale, DType::f32, {channels}, "batch_norm: dscale");
  expect(dshift, DType::f32, {channels}, "batch_norm: dshift");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::batch_norm_backward(exec, info, x, scale, saved_mean, saved_inverse_std, dy, dx, dscale,
                                       dshift);
  }
  cpu::backward(cpu::rows_of(*info, x.shape()), x, scale.data<float>(), saved_mean.data<float>(),
                saved_inverse_std.data<float>(), dy, dx, dscale.data<float>(), dshift.data<float>());
}

void batch_norm_inference(Exec exec, float epsilon, ConstTensor x, ConstTensor scale, ConstTensor shift,
                          ConstTensor running_mean, ConstTensor running_variance, Tensor y) {
  const int64_t channels = x.shape()[-1];
  expect(x, y.dtype(), y.shape(), "batch_norm: x");
  expect(scale, DType::f32, {channels}, "batch_norm: scale");
  expect(shift, DType::f32, {channels}, "batch_norm: shift");
  expect(running_mean, DType::f32, {channels}, "batch_norm: running_mean");
  expect(running_variance, DType::f32, {channels}, "batch_norm: running_variance");
  expect_real(y, x.shape(), "batch_norm: y");
  if (is_empty(x)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::batch_norm_inference(exec, epsilon, x, scale, shift, running_mean, running_variance, y);
  }
  std::vector<float> factor(static_cast<size_t>(channels));
  for (size_t c = 0; c < factor.size(); ++c)
    factor[c] = scale.data<float>()[c] / std::sqrt(running_variance.data<float>()[c] + epsilon);
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    cpu::scale_and_shift(x.data<T>(), x.elements() / channels, channels, running_mean.data<float>(),
                         factor.data(), shift.data<float>(), y.data<T>());
  });
}

void batch_norm_running_update(Exec exec, const MicroBatchInfo* info, float momentum, ConstTensor sums,
                               Tensor running, const StepGuard* guard) {
  expect(sums, DType::f32, running.shape(), "batch_norm: sums");
  expect(running, DType::f32, sums.shape(), "batch_norm: running");
  if (is_empty(running)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::batch_norm_running_update(exec, info, momentum, sums, running, guard);
  }
  if (guard != nullptr && guard->applies == 0) return;
  const float* added = sums.data<float>();
  float* kept = running.data<float>();
  for (int64_t i = 0; i < running.elements(); ++i)
    kept[i] = (1 - momentum) * kept[i] + momentum * added[i] * info->weight;
}

}  // namespace lockstep
