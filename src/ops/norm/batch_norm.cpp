#include "src/ops/norm/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "src/device/buffer.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/column_sum.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/norm/batch_norm_cpu.h"
#include "src/ops/pointwise/activation.h"
#include "src/ops/store.h"
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

/// Of each channel: normalized = (x - mean) * factor + offset. Near the mean the difference is exact.
struct Affine {
  const float *mean, *factor, *offset;
  template <Real T>
  float operator()(const T* x, int64_t c) const {
    return (x[c] - mean[c]) * factor[c] + offset[c];
  }
};

template <bool kAdds, bool kRelu, Real T>
void apply_rows(const Affine& affine, const T* x, const T* added, int64_t rows, int64_t channels, T* y) {
  for (int64_t row = 0; row < rows; ++row, x += channels, y += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      float value = affine(x, c);
      if constexpr (kAdds) value += added[c];
      if constexpr (kRelu) value = value < 0 ? 0 : value;  // NaN stays NaN
      y[c] = T(value);
    }
    if constexpr (kAdds) added += channels;
  }
}

/// y of the first rows, with the epilogue.
template <Real T>
void apply(const Affine& affine, ConstTensor x, int64_t rows, int64_t channels,
           const BatchNormEpilogue& epilogue, Tensor y) {
  const T *const in = x.data<T>(), *const added = epilogue.added.data<T>();
  T* const out = y.data<T>();
  if (added != nullptr && epilogue.relu)
    apply_rows<true, true>(affine, in, added, rows, channels, out);
  else if (added != nullptr)
    apply_rows<true, false>(affine, in, added, rows, channels, out);
  else if (epilogue.relu)
    apply_rows<false, true>(affine, in, added, rows, channels, out);
  else
    apply_rows<false, false>(affine, in, added, rows, channels, out);
}

/// The gradient before the ReLU for one row: where its output, or the normalized x, is above 0.
template <Real T>
void mask_row(const Affine& affine, const T* x, const T* y, const T* dy, int64_t channels, T* masked) {
  // Tensors that share memory do so element by element.
  if (y != nullptr) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) store_if(y[c] > 0.0f, dy[c], masked[c]);
  } else {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) store_if(affine(x, c) > 0.0f, dy[c], masked[c]);
  }
}

/// scale / standard deviation.
std::vector<float> factors(int64_t channels, const float* scale, const float* inverse_std) {
  std::vector<float> factor(static_cast<size_t>(channels));
  for (size_t c = 0; c < factor.size(); ++c) factor[c] = scale[c] * inverse_std[c];
  return factor;
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
               float* saved_mean, float* saved_inverse_std, float* sums, const BatchNormEpilogue& epilogue) {
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
    apply<T>({saved_mean, factor.data(), offset.data()}, x, rows.valid, channels, epilogue, y);
    std::fill(y.data<T>() + rows.valid * channels, y.data<T>() + rows.all * channels, T(0));
  });
}

GradientSums gradient_sums_of(const Rows& rows, ConstTensor x, const float* scale, const float* shift,
                              const float* mean, const float* inverse_std, Tensor dy, float* dscale,
                              float* dshift, const BatchNormEpilogueGradient& epilogue) {
  const int64_t channels = rows.channels;
  GradientSums sums{std::vector<double>(static_cast<size_t>(channels)),
                    std::vector<double>(static_cast<size_t>(channels))};
  const std::vector<float> factor = factors(channels, scale, inverse_std);
  const Affine affine{mean, factor.data(), shift};
  with_cpu_real(x.dtype(), [&]<Real T>(T) {
    const T *const in = x.data<T>(), *const y = epilogue.y.data<T>(), *const given = dy.data<T>();
    T* const gradient = epilogue.masked(dy).data<T>();
    const bool copies = gradient != given;
    // Block by block, so that the second and third pass find the rows in the cache.
    for_row_blocks(rows.valid, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; (epilogue.relu || copies) && row < end; ++row) {
        const int64_t at = row * channels;
        if (epilogue.relu)
          mask_row(affine, in + at, y == nullptr ? y : y + at, given + at, channels, gradient + at);
        else
          std::copy_n(given + at, channels, gradient + at);
      }
      add_columns(begin, end, channels, sums.dy.data(),
                  [=](int64_t row, int64_t c) -> float { return gradient[row * channels + c]; });
      add_columns(begin, end, channels, sums.dy_normalized.data(), [=](int64_t row, int64_t c) {
        return gradient[row * channels + c] * (in[row * channels + c] - mean[c]);
      });
    });
    if (copies) std::fill(gradient + rows.valid * channels, gradient + rows.all * channels, T(0));
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
  const std::vector<float> factor = factors(channels, scale, inverse_std);
  std::vector<float> slope(factor.size()), mean_dy(factor.size());
  for (size_t c = 0; c < factor.size(); ++c) {
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
             float* sums, const BatchNormEpilogue& epilogue) {
  const double count = count_of(rows);
  Moments moments = moments_of(rows, x, saved_mean);
  for (size_t c = 0; c < moments.squares.size(); ++c) {
    const double offset = moments.deviations[c] / count;
    moments.squares[c] -= std::min(moments.squares[c], count * offset * offset);
    moments.deviations[c] = saved_mean[c] + offset;
  }
  const Statistics statistics{count, std::move(moments.deviations), std::move(moments.squares)};
  normalize(rows, info, statistics, epsilon, x, scale, shift, running, y, saved_mean, saved_inverse_std, sums,
            epilogue);
}

/// Of inference.
std::vector<float> factors_by_variance(int64_t channels, const float* scale, const float* variance,
                                       float epsilon) {
  std::vector<float> factor(static_cast<size_t>(channels));
  for (size_t c = 0; c < factor.size(); ++c) factor[c] = scale[c] / std::sqrt(variance[c] + epsilon);
  return factor;
}

/// dx = dy * factor, where dy is masked by the normalized x with a ReLU.
template <Real T>
void inference_gradient(const Affine& affine, const T* x, const T* dy, bool relu, int64_t rows,
                        int64_t channels, T* dx) {
  for (int64_t row = 0; row < rows; ++row, x += channels, dy += channels, dx += channels)
    for (int64_t c = 0; c < channels; ++c)
      dx[c] = T(relu && !(affine(x, c) > 0) ? 0 : dy[c] * affine.factor[c]);
}

}  // namespace
}  // namespace cpu

namespace {

void expect_epilogue(const BatchNormEpilogue& epilogue, ConstTensor x) {
  if (epilogue.added) expect(epilogue.added, x.dtype(), x.shape(), "batch_norm: added");
}

void expect_epilogue(const BatchNormEpilogueGradient& epilogue, ConstTensor x, ConstTensor dy, Tensor dx) {
  if (epilogue.y) expect(epilogue.y, x.dtype(), x.shape(), "batch_norm: y");
  if (epilogue.dadded) expect(epilogue.dadded, x.dtype(), x.shape(), "batch_norm: dadded");
  INVARIANT(epilogue.relu || !epilogue.y, "batch_norm: y without a ReLU");
  INVARIANT(epilogue.y || !epilogue.relu || !epilogue.dadded, "batch_norm: dadded, but no y");
  INVARIANT(!dx || dx.raw() != dy.raw() || epilogue.masked({}).raw() != dy.raw(),
            "batch_norm: dx and dadded are one");
}

}  // namespace

void batch_norm_forward(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                        ConstTensor scale, ConstTensor shift, ConstTensor running, Tensor y,
                        Tensor saved_mean, Tensor saved_inverse_std, Tensor sums,
                        const BatchNormEpilogue& epilogue, ConstTensor given) {
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
  if (given) expect(given, DType::f32, {2, channels}, "batch_norm: given");
  expect_epilogue(epilogue, x);
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::batch_norm_forward(exec, info, epsilon, x, scale, shift, running, y, saved_mean,
                                      saved_inverse_std, sums, epilogue, given);
  }
  const cpu::Rows rows = cpu::rows_of(*info, x.shape());
  cpu::forward(rows, *info, epsilon, x, scale.data<float>(), shift.data<float>(), running.data<float>(), y,
               saved_mean.data<float>(), saved_inverse_std.data<float>(), sums.data<float>(), epilogue);
}

void batch_norm_backward(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                         ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std, Tensor dy,
                         Tensor dx, Tensor dscale, Tensor dshift, const BatchNormEpilogueGradient& epilogue) {
  INVARIANT(x.shape().rank() >= 2, "batch_norm: x {} has no batch or no channels", to_string(x.shape()));
  const int64_t channels = x.shape()[-1];
  expect_real(x, x.shape(), "batch_norm: x");
  if (dx) expect(dx, x.dtype(), x.shape(), "batch_norm: dx");
  expect(scale, DType::f32, {channels}, "batch_norm: scale");
  expect(shift, DType::f32, {channels}, "batch_norm: shift");
  expect(saved_mean, DType::f32, {channels}, "batch_norm: saved_mean");
  expect(saved_inverse_std, DType::f32, {channels}, "batch_norm: saved_inverse_std");
  expect(dy, x.dtype(), x.shape(), "batch_norm: dy");
  expect(dscale, DType::f32, {channels}, "batch_norm: dscale");
  expect(dshift, DType::f32, {channels}, "batch_norm: dshift");
  expect_epilogue(epilogue, x, dy, dx);
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::batch_norm_backward(exec, info, x, scale, shift, saved_mean, saved_inverse_std, dy, dx,
                                       dscale, dshift, epilogue);
  }
  const cpu::Rows rows = cpu::rows_of(*info, x.shape());
  const float *const mean = saved_mean.data<float>(), *const inverse_std = saved_inverse_std.data<float>();
  const cpu::GradientSums sums =
      cpu::gradient_sums_of(rows, x, scale.data<float>(), shift.data<float>(), mean, inverse_std, dy,
                            dscale.data<float>(), dshift.data<float>(), epilogue);
  if (dx)
    cpu::input_gradient(rows, cpu::count_of(rows), sums, x, scale.data<float>(), mean, inverse_std,
                        epilogue.masked(dy), dx);
}

void batch_norm_inference(Exec exec, float epsilon, ConstTensor x, ConstTensor scale, ConstTensor shift,
                          ConstTensor running_mean, ConstTensor running_variance, Tensor y,
                          const BatchNormEpilogue& epilogue) {
  const int64_t channels = x.shape()[-1];
  expect(x, y.dtype(), y.shape(), "batch_norm: x");
  expect(scale, DType::f32, {channels}, "batch_norm: scale");
  expect(shift, DType::f32, {channels}, "batch_norm: shift");
  expect(running_mean, DType::f32, {channels}, "batch_norm: running_mean");
  expect(running_variance, DType::f32, {channels}, "batch_norm: running_variance");
  expect_real(y, x.shape(), "batch_norm: y");
  expect_epilogue(epilogue, x);
  if (is_empty(x)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::batch_norm_inference(exec, epsilon, x, scale, shift, running_mean, running_variance, y,
                                        epilogue);
  }
  const std::vector<float> factor =
      cpu::factors_by_variance(channels, scale.data<float>(), running_variance.data<float>(), epsilon);
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    cpu::apply<T>({running_mean.data<float>(), factor.data(), shift.data<float>()}, x,
                  x.elements() / channels, channels, epilogue, y);
  });
}

void batch_norm_inference_backward(Exec exec, float epsilon, ConstTensor x, ConstTensor scale,
                                   ConstTensor shift, ConstTensor running_mean, ConstTensor running_variance,
                                   Tensor dy, Tensor dx, const BatchNormEpilogueGradient& epilogue) {
  const int64_t channels = x.shape()[-1];
  expect_real(x, x.shape(), "batch_norm: x");
  expect(dy, x.dtype(), x.shape(), "batch_norm: dy");
  if (dx) expect(dx, x.dtype(), x.shape(), "batch_norm: dx");
  expect(scale, DType::f32, {channels}, "batch_norm: scale");
  expect(shift, DType::f32, {channels}, "batch_norm: shift");
  expect(running_mean, DType::f32, {channels}, "batch_norm: running_mean");
  expect(running_variance, DType::f32, {channels}, "batch_norm: running_variance");
  expect_epilogue(epilogue, x, dy, dx);
  if (is_empty(x)) return;
  const Tensor masked = epilogue.masked(dy);
  if (epilogue.y)
    activation_backward(exec, Activation::relu, epilogue.y, dy, masked);
  else if (masked.raw() != dy.raw())
    copy(exec, masked.raw(), dy.raw(), dy.bytes());
  if (!dx) return;
  const bool relu = epilogue.relu && !epilogue.y;
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::batch_norm_inference_gradient(exec, epsilon, x, scale, shift, running_mean,
                                                 running_variance, masked, relu, dx);
  }
  const std::vector<float> factor =
      cpu::factors_by_variance(channels, scale.data<float>(), running_variance.data<float>(), epsilon);
  with_cpu_real(dx.dtype(), [&]<Real T>(T) {
    cpu::inference_gradient<T>({running_mean.data<float>(), factor.data(), shift.data<float>()}, x.data<T>(),
                               masked.data<T>(), relu, x.elements() / channels, channels, dx.data<T>());
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
