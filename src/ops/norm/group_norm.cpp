#include "src/ops/norm/group_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/core/error.h"
#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/ops/vector_sum.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

struct Extents {
  int64_t samples, positions, channels, groups, width;  ///< width: channels of a group

  Extents(const Shape& shape, const GroupNormSpec& spec)
      : samples(shape[0]),
        positions(shape[1]),
        channels(shape[2]),
        groups(spec.groups),
        width(channels / spec.groups) {}
  double elements() const { return static_cast<double>(positions * width); }
  int64_t first_of(int64_t sample, int64_t group) const {
    return sample * positions * channels + group * width;
  }
};

/// The sum of value(offset, c) over a group, of offsets from its first element: blocks are added in float,
/// their sums in double.
template <typename Value>
double group_sum(const Extents& extents, const Value& value) {
  constexpr int64_t kBlock = 512;
  double sum = 0;
  for (int64_t position = 0; position < extents.positions; ++position)
    for (int64_t begin = 0; begin < extents.width; begin += kBlock) {
      const int64_t row = position * extents.channels;
      sum += vector_sum(std::min(extents.width - begin, kBlock),
                        [&](int64_t i) { return value(row + begin + i, begin + i); });
    }
  return sum;
}

/// f(offset, c) for each element of a group.
template <typename F>
void for_each(const Extents& extents, const F& f) {
  for (int64_t position = 0; position < extents.positions; ++position)
    for (int64_t c = 0; c < extents.width; ++c) f(position * extents.channels + c, c);
}

template <Real T>
void forward(const GroupNormSpec& spec, const Extents& extents, const T* all_x, const float* all_scale,
             const float* all_shift, T* all_y, float* means, float* inverse_stds) {
  for (int64_t n = 0; n < extents.samples; ++n)
    for (int64_t g = 0; g < extents.groups; ++g) {
      const T* const x = all_x + extents.first_of(n, g);
      const float *const scale = all_scale + g * extents.width, *const shift =
                                                                    all_shift == nullptr
                                                                        ? nullptr
                                                                        : all_shift + g * extents.width;
      T* const y = all_y + extents.first_of(n, g);
      const float mean =
          spec.centered
              ? static_cast<float>(group_sum(extents, [x](int64_t i, int64_t) -> float { return x[i]; }) /
                                   extents.elements())
              : 0;
      const double squares = group_sum(extents, [x, mean](int64_t i, int64_t) {
        const float deviation = x[i] - mean;
        return deviation * deviation;
      });
      const auto inverse_std =
          static_cast<float>(1 / std::sqrt(squares / extents.elements() + double{spec.epsilon}));
      for_each(extents, [=](int64_t i, int64_t c) {
        y[i] = T((x[i] - mean) * (inverse_std * scale[c]) + (shift == nullptr ? 0 : shift[c]));
      });
      means[n * extents.groups + g] = mean;
      inverse_stds[n * extents.groups + g] = inverse_std;
    }
}

template <Real T>
void group_input_gradient(const GroupNormSpec& spec, const Extents& extents, const T* all_x,
                          const float* all_scale, const float* means, const float* inverse_stds,
                          const T* all_dy, T* all_dx, bool adds_to_dx) {
  for (int64_t n = 0; n < extents.samples; ++n)
    for (int64_t g = 0; g < extents.groups; ++g) {
      const T *const x = all_x + extents.first_of(n, g), *const dy = all_dy + extents.first_of(n, g);
      const float* const scale = all_scale + g * extents.width;
      T* const dx = all_dx + extents.first_of(n, g);
      const float mean = means[n * extents.groups + g], inverse_std = inverse_stds[n * extents.groups + g];
      const double sum =
          spec.centered ? group_sum(extents, [dy, scale](int64_t i, int64_t c) { return dy[i] * scale[c]; })
                        : 0;
      const double products = group_sum(
          extents, [=](int64_t i, int64_t c) { return dy[i] * scale[c] * ((x[i] - mean) * inverse_std); });
      const auto mean_gradient = static_cast<float>(sum / extents.elements()),
                 mean_product = static_cast<float>(products / extents.elements());
      for_each(extents, [=](int64_t i, int64_t c) {
        const float normalized = (x[i] - mean) * inverse_std;
        const float earlier = adds_to_dx ? dx[i] : 0.0f;
        dx[i] = T(earlier + inverse_std * (dy[i] * scale[c] - mean_gradient - normalized * mean_product));
      });
    }
}

template <Real T>
void group_parameter_gradients(const Extents& extents, const T* x, const float* means,
                               const float* inverse_stds, const T* dy, float* dscale, float* dshift) {
  constexpr int64_t kBlock = 32;
  const auto channels = static_cast<size_t>(extents.channels);
  std::vector<double> scale_sums(channels), shift_sums(channels);
  std::vector<float> scale_block(channels), shift_block(channels);
  const int64_t rows = extents.samples * extents.positions;
  for (int64_t begin = 0; begin < rows; begin += kBlock) {
    std::ranges::fill(scale_block, 0.f);
    std::ranges::fill(shift_block, 0.f);
    for (int64_t row = begin; row < std::min(rows, begin + kBlock); ++row)
      for (int64_t g = 0; g < extents.groups; ++g) {
        const int64_t group = row / extents.positions * extents.groups + g, first = g * extents.width;
        const float mean = means[group], inverse_std = inverse_stds[group];
        const T *const xs = x + row * extents.channels + first, *const dys =
                                                                    dy + row * extents.channels + first;
        float *const scales = scale_block.data() + first, *const shifts = shift_block.data() + first;
        for (int64_t c = 0; c < extents.width; ++c) {
          scales[c] += dys[c] * ((xs[c] - mean) * inverse_std);
          shifts[c] += dys[c];
        }
      }
    for (size_t c = 0; c < channels; ++c) {
      scale_sums[c] += scale_block[c];
      shift_sums[c] += shift_block[c];
    }
  }
  for (size_t c = 0; c < channels; ++c) dscale[c] = static_cast<float>(scale_sums[c]);
  for (size_t c = 0; dshift != nullptr && c < channels; ++c) dshift[c] = static_cast<float>(shift_sums[c]);
}

}  // namespace
}  // namespace cpu

namespace {

/// y: of the type of x, dy and dx.
void check(const GroupNormSpec& spec, ConstTensor x, ConstTensor scale, ConstTensor mean,
           ConstTensor inverse_std, ConstTensor y, const char* what) {
  INVARIANT(x.shape().rank() == 3 && spec.groups > 0 && x.shape()[2] % spec.groups == 0,
            "group_norm: {} groups of {}", spec.groups, to_string(x.shape()));
  expect_real(y, x.shape(), what);
  expect(x, y.dtype(), x.shape(), "group_norm: x");
  expect(scale, DType::f32, {x.shape()[2]}, "group_norm: scale");
  expect(mean, DType::f32, {x.shape()[0], spec.groups}, "group_norm: mean");
  expect(inverse_std, DType::f32, {x.shape()[0], spec.groups}, "group_norm: inverse_std");
}

}  // namespace

void group_norm_forward(Exec exec, const GroupNormSpec& spec, ConstTensor x, ConstTensor scale,
                        ConstTensor shift, Tensor y, Tensor saved_mean, Tensor saved_inverse_std) {
  check(spec, x, scale, saved_mean, saved_inverse_std, y, "group_norm: y");
  if (shift) expect(shift, DType::f32, scale.shape(), "group_norm: shift");
  if (is_empty(x)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::group_norm_forward(exec, spec, x, scale, shift, y, saved_mean, saved_inverse_std);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) {
    cpu::forward(spec, {x.shape(), spec}, x.data<T>(), scale.data<float>(), shift.data<float>(), y.data<T>(),
                 saved_mean.data<float>(), saved_inverse_std.data<float>());
  });
}

void group_norm_backward(Exec exec, const GroupNormSpec& spec, ConstTensor x, ConstTensor scale,
                         ConstTensor saved_mean, ConstTensor saved_inverse_std, ConstTensor dy, Tensor dx,
                         Tensor dscale, Tensor dshift, bool adds_to_dx) {
  check(spec, x, scale, saved_mean, saved_inverse_std, dx, "group_norm: dx");
  expect(dy, dx.dtype(), x.shape(), "group_norm: dy");
  expect(dscale, DType::f32, scale.shape(), "group_norm: dscale");
  if (dshift) expect(dshift, DType::f32, scale.shape(), "group_norm: dshift");
  if constexpr (kCuda) {
    if (exec.on_cuda())
      return cuda::group_norm_backward(exec, spec, x, scale, saved_mean, saved_inverse_std, dy, dx, dscale,
                                       dshift, adds_to_dx);
  }
  const cpu::Extents extents(x.shape(), spec);
  with_cpu_real(dx.dtype(), [&]<Real T>(T) {
    // First, because dx may overwrite dy.
    cpu::group_parameter_gradients(extents, x.data<T>(), saved_mean.data<float>(),
                                   saved_inverse_std.data<float>(), dy.data<T>(), dscale.data<float>(),
                                   dshift.data<float>());
    cpu::group_input_gradient(spec, extents, x.data<T>(), scale.data<float>(), saved_mean.data<float>(),
                              saved_inverse_std.data<float>(), dy.data<T>(), dx.data<T>(), adds_to_dx);
  });
}

}  // namespace lockstep
