#include "src/ops/norm/sync_batch_norm.h"

#include <algorithm>
#include <cmath>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/norm/batch_norm_cpu.h"

namespace lockstep {

namespace cpu {
namespace {

/// The mean from summed totals: the same float for all micro-batches, near the exact mean.
float first_mean(float total, float samples, int64_t positions) {
  return total / std::max(samples * static_cast<float>(positions), 1.0f);
}

void moments(const Rows& rows, const MicroBatchInfo& info, ConstTensor x, float* pivot, float* first,
             float* second, float* totals) {
  const Moments own = moments_of(rows, x, pivot);
  const auto count = static_cast<double>(rows.valid);
  const size_t channels = own.squares.size();
  for (size_t c = 0; c < channels; ++c) {
    first[c] = static_cast<float>(own.deviations[c]);
    second[c] = static_cast<float>(own.squares[c]);
    totals[c] = static_cast<float>(count * pivot[c] + own.deviations[c]);
  }
  totals[channels] = static_cast<float>(info.valid);
}

/// Converts moments of `count` rows from the pivot to the first mean.
void deviations(double count, int64_t positions, int64_t channels, const float* moments, const float* totals,
                float* result) {
  for (int64_t c = 0; c < channels; ++c) {
    const double first = moments[channels + c], second = moments[2 * channels + c];
    const double distance = double{moments[c]} - first_mean(totals[c], totals[channels], positions);
    result[c] = static_cast<float>(first + count * distance);
    result[channels + c] = static_cast<float>(second + distance * (2 * first + count * distance));
  }
}

Statistics joint_statistics(int64_t positions, int64_t channels, const float* totals,
                            const float* deviations) {
  const double count = std::max(double{totals[channels]} * static_cast<double>(positions), 1.0);
  Statistics statistics{count, {}, {}};
  for (int64_t c = 0; c < channels; ++c) {
    const double offset = deviations[c] / count;
    statistics.mean.push_back(first_mean(totals[c], totals[channels], positions) + offset);
    statistics.squares.push_back(std::max(0.0, deviations[channels + c] - count * offset * offset));
  }
  return statistics;
}

GradientSums joint_sums(int64_t channels, const float* totals) {
  return {{totals, totals + channels}, {totals + channels, totals + 2 * channels}};
}

}  // namespace
}  // namespace cpu

void sync_batch_norm_moments(Exec exec, const MicroBatchInfo* info, ConstTensor x, Tensor moments,
                             Tensor totals) {
  const int64_t channels = x.shape()[-1];
  expect_real(x, x.shape(), "sync_batch_norm: x");
  expect(moments, DType::f32, {3, channels}, "sync_batch_norm: moments");
  expect(totals, DType::f32, {channels + 1}, "sync_batch_norm: totals");
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::sync_batch_norm_moments(exec, info, x, moments, totals);
  }
  float* const pivot = moments.data<float>();
  cpu::moments(cpu::rows_of(*info, x.shape()), *info, x, pivot, pivot + channels, pivot + 2 * channels,
               totals.data<float>());
}

void sync_batch_norm_deviations(Exec exec, const MicroBatchInfo* info, int64_t positions, ConstTensor moments,
                                ConstTensor totals, Tensor deviations) {
  const int64_t channels = moments.shape()[-1];
  expect(moments, DType::f32, {3, channels}, "sync_batch_norm: moments");
  expect(totals, DType::f32, {channels + 1}, "sync_batch_norm: totals");
  expect(deviations, DType::f32, {2, channels}, "sync_batch_norm: deviations");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::sync_batch_norm_deviations(exec, info, positions, moments, totals, deviations);
  }
  cpu::deviations(static_cast<double>(info->valid * positions), positions, channels, moments.data<float>(),
                  totals.data<float>(), deviations.data<float>());
}

void sync_batch_norm_normalize(Exec exec, const MicroBatchInfo* info, float epsilon, ConstTensor x,
                               ConstTensor scale, ConstTensor shift, ConstTensor running, ConstTensor totals,
                               ConstTensor deviations, Tensor y, Tensor saved_mean, Tensor saved_inverse_std,
                               Tensor sums, const BatchNormEpilogue& epilogue) {
  const int64_t channels = x.shape()[-1];
  expect_real(y, x.shape(), "sync_batch_norm: y");
  expect(x, y.dtype(), y.shape(), "sync_batch_norm: x");
  expect(scale, DType::f32, {channels}, "sync_batch_norm: scale");
  expect(shift, DType::f32, {channels}, "sync_batch_norm: shift");
  expect(running, DType::f32, {2, channels}, "sync_batch_norm: running");
  expect(totals, DType::f32, {channels + 1}, "sync_batch_norm: totals");
  expect(deviations, DType::f32, {2, channels}, "sync_batch_norm: deviations");
  expect(saved_mean, DType::f32, {channels}, "sync_batch_norm: saved_mean");
  expect(saved_inverse_std, DType::f32, {channels}, "sync_batch_norm: saved_inverse_std");
  expect(sums, DType::f32, {2, channels}, "sync_batch_norm: sums");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::sync_batch_norm_normalize(exec, info, epsilon, x, scale, shift, running, totals,
                                             deviations, y, saved_mean, saved_inverse_std, sums, epilogue);
  }
  const cpu::Rows rows = cpu::rows_of(*info, x.shape());
  cpu::normalize(
      rows, *info,
      cpu::joint_statistics(rows.per_sample, channels, totals.data<float>(), deviations.data<float>()),
      epsilon, x, scale.data<float>(), shift.data<float>(), running.data<float>(), y,
      saved_mean.data<float>(), saved_inverse_std.data<float>(), sums.data<float>(), epilogue);
}

void sync_batch_norm_gradient_sums(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                                   ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std,
                                   Tensor dy, Tensor dscale, Tensor dshift, Tensor totals,
                                   const BatchNormEpilogueGradient& epilogue) {
  const int64_t channels = x.shape()[-1];
  expect_real(dy, x.shape(), "sync_batch_norm: dy");
  expect(x, dy.dtype(), dy.shape(), "sync_batch_norm: x");
  expect(scale, DType::f32, {channels}, "sync_batch_norm: scale");
  expect(shift, DType::f32, {channels}, "sync_batch_norm: shift");
  expect(saved_mean, DType::f32, {channels}, "sync_batch_norm: saved_mean");
  expect(saved_inverse_std, DType::f32, {channels}, "sync_batch_norm: saved_inverse_std");
  expect(dscale, DType::f32, {channels}, "sync_batch_norm: dscale");
  expect(dshift, DType::f32, {channels}, "sync_batch_norm: dshift");
  expect(totals, DType::f32, {2 * channels + 1}, "sync_batch_norm: totals");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::sync_batch_norm_gradient_sums(exec, info, x, scale, shift, saved_mean, saved_inverse_std,
                                                 dy, dscale, dshift, totals, epilogue);
  }
  cpu::gradient_sums_of(cpu::rows_of(*info, x.shape()), x, scale.data<float>(), shift.data<float>(),
                        saved_mean.data<float>(), saved_inverse_std.data<float>(), dy, dscale.data<float>(),
                        dshift.data<float>(), epilogue);
  float* const to = totals.data<float>();
  std::copy_n(dshift.data<float>(), channels, to);
  std::copy_n(dscale.data<float>(), channels, to + channels);
  to[2 * channels] = static_cast<float>(info->valid);
}

void sync_batch_norm_input_gradient(Exec exec, const MicroBatchInfo* info, ConstTensor x, ConstTensor scale,
                                    ConstTensor shift, ConstTensor saved_mean, ConstTensor saved_inverse_std,
                                    Tensor dy, ConstTensor totals, Tensor dx,
                                    const BatchNormEpilogueGradient& epilogue) {
  const int64_t channels = x.shape()[-1];
  expect_real(dx, x.shape(), "sync_batch_norm: dx");
  expect(x, dx.dtype(), dx.shape(), "sync_batch_norm: x");
  expect(scale, DType::f32, {channels}, "sync_batch_norm: scale");
  expect(shift, DType::f32, {channels}, "sync_batch_norm: shift");
  expect(saved_mean, DType::f32, {channels}, "sync_batch_norm: saved_mean");
  expect(saved_inverse_std, DType::f32, {channels}, "sync_batch_norm: saved_inverse_std");
  expect(dy, dx.dtype(), x.shape(), "sync_batch_norm: dy");
  expect(totals, DType::f32, {2 * channels + 1}, "sync_batch_norm: totals");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::sync_batch_norm_input_gradient(exec, info, x, scale, shift, saved_mean, saved_inverse_std,
                                                  dy, totals, dx, epilogue);
  }
  const cpu::Rows rows = cpu::rows_of(*info, x.shape());
  const float* const summed = totals.data<float>();
  const double count = std::max(double{summed[2 * channels]} * static_cast<double>(rows.per_sample), 1.0);
  cpu::input_gradient(rows, count, cpu::joint_sums(channels, summed), x, scale.data<float>(),
                      saved_mean.data<float>(), saved_inverse_std.data<float>(), epilogue.masked(dy), dx);
}

}  // namespace lockstep
