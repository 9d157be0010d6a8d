#include "src/ops/input/augment/resample.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"

namespace lockstep {

namespace cpu {
namespace {

/// What one position of an output axis reads: two neighbours along an axis of the input, as offsets in
/// elements.
struct Taps {
  int64_t offset[2] = {0, 0};
  float weight[2] = {1, 0};
  bool is_inside = true;
};

Taps taps_at(int64_t position, int64_t extent, int64_t stride, bool nearest) {
  const int64_t half = kPositionOne / 2;
  Taps taps;
  taps.is_inside = position >= -half && position < extent * kPositionOne - half;
  if (!taps.is_inside) return taps;
  const auto offset = [&](int64_t index) { return std::clamp<int64_t>(index, 0, extent - 1) * stride; };
  if (nearest) {
    taps.offset[0] = offset((position + half) >> kPositionBits);
    return taps;
  }
  const int64_t below = position >> kPositionBits;
  const int64_t fraction = position - (below << kPositionBits);
  taps.offset[0] = offset(below);
  taps.offset[1] = offset(below + 1);
  taps.weight[1] = static_cast<float>(fraction) / static_cast<float>(kPositionOne);
  taps.weight[0] = 1 - taps.weight[1];
  return taps;
}

/// y (C) = the weighted sum of up to eight elements of x, which starts at a sample.
void interpolate(const Taps& d, const Taps& h, const Taps& w, int64_t channels, const float* x, float* y) {
  std::fill_n(y, channels, 0.f);
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 2; ++j)
      for (int k = 0; k < 2; ++k) {
        const float weight = d.weight[i] * h.weight[j] * w.weight[k];
        // A weight of 0 must not turn infinity into NaN.
        if (weight == 0) continue;
        const float* const from = x + d.offset[i] + h.offset[j] + w.offset[k];
        for (int64_t c = 0; c < channels; ++c) y[c] += weight * from[c];
      }
}

template <typename T>
void resample_sample(const ResampleSpec& spec, const Placement& placement, const T* fill, const T* x, T* y) {
  const int64_t channels = spec.channels;
  const int64_t strides[3] = {spec.in[1] * spec.in[2] * channels, spec.in[2] * channels, channels};
  std::array<std::vector<Taps>, 3> taps;
  for (size_t a = 0; a < 3; ++a) {
    const auto axis = static_cast<size_t>(placement.axis[a]);
    for (int64_t p = 0; p < spec.out[a]; ++p)
      taps[a].push_back(
          taps_at(placement.start[a] + placement.step[a] * p, spec.in[axis], strides[axis], spec.nearest));
  }
  for (const Taps& d : taps[0])
    for (const Taps& h : taps[1])
      for (const Taps& w : taps[2]) {
        const bool is_whole = d.weight[1] == 0 && h.weight[1] == 0 && w.weight[1] == 0;
        if (!d.is_inside || !h.is_inside || !w.is_inside) {
          std::copy_n(fill, channels, y);
        } else if (is_whole) {
          std::copy_n(x + d.offset[0] + h.offset[0] + w.offset[0], channels, y);
        } else if constexpr (std::is_same_v<T, float>) {
          interpolate(d, h, w, channels, x, y);
        }
        y += channels;
      }
}

template <typename T>
void resample(const ResampleSpec& spec, ConstTensor placements, ConstTensor fill, ConstTensor x, Tensor y) {
  const auto* const placement = reinterpret_cast<const Placement*>(placements.data<int64_t>());
  const int64_t samples = x.shape()[0], from = x.elements() / samples, to = y.elements() / samples;
  for (int64_t n = 0; n < samples; ++n)
    resample_sample(spec, placement[n], fill.data<T>(), x.data<T>() + n * from, y.data<T>() + n * to);
}

}  // namespace
}  // namespace cpu

void resample(Exec exec, const ResampleSpec& spec, ConstTensor placements, ConstTensor fill, ConstTensor x,
              Tensor y) {
  const int64_t samples = placements.shape()[0];
  const DType dtype = x.dtype();
  INVARIANT(dtype == DType::f32 || (dtype == DType::i32 && spec.nearest), "resample: x is of {}",
            to_string(dtype));
  expect(placements, DType::i64, {samples, kPlacementWords}, "resample: placements");
  expect(fill, dtype, {spec.channels}, "resample: fill");
  expect(x, dtype, {samples, spec.in[0], spec.in[1], spec.in[2], spec.channels}, "resample: x");
  expect(y, dtype, {samples, spec.out[0], spec.out[1], spec.out[2], spec.channels}, "resample: y");
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::resample(exec, spec, placements, fill, x, y);
  }
  if (dtype == DType::f32)
    cpu::resample<float>(spec, placements, fill, x, y);
  else
    cpu::resample<int32_t>(spec, placements, fill, x, y);
}

}  // namespace lockstep
