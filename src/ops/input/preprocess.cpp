#include "src/ops/input/preprocess.h"

#include <algorithm>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

namespace cpu {
namespace {

float difference(uint8_t value, float pivot) { return static_cast<float>(value) - pivot; }
float difference(float value, float pivot) { return value - pivot; }
float difference(double value, float pivot) { return static_cast<float>(value - pivot); }

float difference(f16 value, float pivot) { return static_cast<float>(value) - pivot; }

/// The affine map of each channel: (x - pivot) scale + shift.
struct Affine {
  const float *pivot, *scale, *shift;
};

/// y[i] = (x[i] - pivot[c]) scale[c] + shift[c], c = i % channels, with all three repeated to a length worth
/// vectorizing.
template <typename T>
void channels_last(const T* x, int64_t count, int64_t channels, const Affine& to, float* y) {
  const int64_t period = channels * std::max<int64_t>(1, 512 / channels);
  std::vector<float> pivots(static_cast<size_t>(period)), scales(pivots.size()), shifts(pivots.size());
  for (int64_t i = 0; i < period; ++i) {
    pivots[static_cast<size_t>(i)] = to.pivot[i % channels];
    scales[static_cast<size_t>(i)] = to.scale[i % channels];
    shifts[static_cast<size_t>(i)] = to.shift[i % channels];
  }
  for (int64_t first = 0; first < count; first += period) {
    const int64_t length = std::min(period, count - first);
    for (int64_t i = 0; i < length; ++i) {
      const auto c = static_cast<size_t>(i);
      y[first + i] = difference(x[first + i], pivots[c]) * scales[c] + shifts[c];
    }
  }
}

template <typename T>
void channels_first(const T* x, int64_t samples, int64_t positions, int64_t channels, const Affine& to,
                    float* y) {
  for (int64_t sample = 0; sample < samples; ++sample, x += positions * channels, y += positions * channels)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t position = 0; position < positions; ++position)
        y[position * channels + c] =
            difference(x[c * positions + position], to.pivot[c]) * to.scale[c] + to.shift[c];
}

template <typename T>
void preprocess(const PreprocessSpec& spec, const void* x, const Affine& to, Tensor y) {
  const int64_t samples = y.shape()[0], channels = y.shape()[-1];
  const auto* in = static_cast<const T*>(x);
  auto* out = y.data<float>();
  if (spec.channels_first && channels > 1)
    channels_first(in, samples, y.elements() / (samples * channels), channels, to, out);
  else
    channels_last(in, y.elements(), channels, to, out);
}

}  // namespace
}  // namespace cpu

void preprocess(Exec exec, const PreprocessSpec& spec, ConstTensor x, ConstTensor pivot, ConstTensor scale,
                ConstTensor shift, Tensor y) {
  const int64_t channels = y.shape()[-1];
  INVARIANT(y.shape().rank() >= 2, "preprocess: y {} has no batch or no channels", to_string(y.shape()));
  INVARIANT(
      x.shape().rank() >= 1 && x.shape()[0] == y.shape()[0] && x.shape().elements() == y.shape().elements(),
      "preprocess: x is {}, y is {}", to_string(x.shape()), to_string(y.shape()));
  expect(y, DType::f32, y.shape(), "preprocess: y");
  expect(pivot, DType::f32, {channels}, "preprocess: pivot");
  expect(scale, DType::f32, {channels}, "preprocess: scale");
  expect(shift, DType::f32, {channels}, "preprocess: shift");
  if (is_empty(y)) return;
  expect_shape(x, x.shape(), "preprocess: x");
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::preprocess(exec, spec, x, pivot, scale, shift, y);
  }
  const cpu::Affine to{pivot.data<float>(), scale.data<float>(), shift.data<float>()};
  switch (x.dtype()) {
    case DType::u8:
      return cpu::preprocess<uint8_t>(spec, x.raw(), to, y);
    case DType::f16:
      return cpu::preprocess<f16>(spec, x.raw(), to, y);
    case DType::f32:
      return cpu::preprocess<float>(spec, x.raw(), to, y);
    case DType::f64:
      return cpu::preprocess<double>(spec, x.raw(), to, y);
    default:
      fail(ExitCode::bug, "preprocess: x is of {}", to_string(x.dtype()));
  }
}

}  // namespace lockstep
