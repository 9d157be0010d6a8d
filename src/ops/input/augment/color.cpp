#include "src/ops/input/augment/color.h"

#include <algorithm>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"

namespace lockstep {

namespace cpu {
namespace {

/// The values of one sample as they are stored.
class Picture {
 public:
  Picture(int64_t channels, float max, std::vector<float>& values)
      : channels_(channels), max_(max), values_(values) {}

  void brighten(float factor) {
    for (float& value : values_) value = clamped(value * factor);
  }
  void contrast(float factor) {
    double sum = 0;
    for (size_t at = 0; at < values_.size(); at += static_cast<size_t>(channels_)) sum += grey(at);
    const auto mean =
        static_cast<float>(sum * static_cast<double>(channels_) / static_cast<double>(values_.size()));
    for (float& value : values_) value = clamped(mean + factor * (value - mean));
  }
  void saturate(float factor) {
    for (size_t at = 0; at < values_.size(); at += static_cast<size_t>(channels_)) {
      const float g = grey(at);
      for (size_t c = at; c < at + static_cast<size_t>(channels_); ++c)
        values_[c] = clamped(g + factor * (values_[c] - g));
    }
  }

 private:
  float clamped(float value) const { return max_ > 0 ? std::clamp(value, 0.f, max_) : value; }
  float grey(size_t at) const {
    if (channels_ == 3) return 0.299f * values_[at] + 0.587f * values_[at + 1] + 0.114f * values_[at + 2];
    float sum = 0;
    for (size_t c = at; c < at + static_cast<size_t>(channels_); ++c) sum += values_[c];
    return sum / static_cast<float>(channels_);
  }

  int64_t channels_;
  float max_;
  std::vector<float>& values_;
};

void adjust_sample(float max, const ColorFactors& factors, const float* scale, const float* zero,
                   int64_t channels, std::vector<float>& values, float* x) {
  for (size_t i = 0; i < values.size(); ++i) {
    const auto c = static_cast<int64_t>(i) % channels;
    values[i] = (x[i] - zero[c]) / scale[c];
  }
  Picture picture(channels, max, values);
  if (factors.brightness != 1) picture.brighten(factors.brightness);
  if (factors.contrast != 1) picture.contrast(factors.contrast);
  if (factors.saturation != 1) picture.saturate(factors.saturation);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto c = static_cast<int64_t>(i) % channels;
    x[i] = values[i] * scale[c] + zero[c];
  }
}

}  // namespace
}  // namespace cpu

void adjust_color(Exec exec, float max, ConstTensor factors, ConstTensor scale, ConstTensor zero, Tensor x) {
  INVARIANT(x.shape().rank() == 3, "adjust_color: x is {}", to_string(x.shape()));
  const int64_t samples = factors.shape()[0], channels = scale.shape()[0];
  expect(factors, DType::f32, {samples, kColorFactors}, "adjust_color: factors");
  expect(scale, DType::f32, {channels}, "adjust_color: scale");
  expect(zero, DType::f32, {channels}, "adjust_color: zero");
  expect(x, DType::f32, {samples, x.shape()[1], channels}, "adjust_color: x");
  if (is_empty(x)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::adjust_color(exec, max, factors, scale, zero, x);
  }
  const int64_t elements = x.shape()[1] * channels;
  std::vector<float> values(static_cast<size_t>(elements));
  const auto* const of_sample = reinterpret_cast<const ColorFactors*>(factors.data<float>());
  for (int64_t n = 0; n < samples; ++n) {
    const ColorFactors& own = of_sample[n];
    if (own.brightness == 1 && own.contrast == 1 && own.saturation == 1) continue;
    cpu::adjust_sample(max, own, scale.data<float>(), zero.data<float>(), channels, values,
                       x.data<float>() + n * elements);
  }
}

}  // namespace lockstep
