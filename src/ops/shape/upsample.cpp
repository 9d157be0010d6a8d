#include "src/ops/shape/upsample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"

namespace lockstep {

namespace cpu {
namespace {

/// An output of an axis, read from an input with a weight. Those with weight 0 are left out.
struct Tap {
  int64_t input, output;
  float weight;
};

/// In the order of the outputs.
std::vector<Tap> taps_of(int64_t extent, int64_t factor, bool linear) {
  std::vector<Tap> taps;
  for (int64_t output = 0; output < extent * factor; ++output) {
    if (!linear) {
      taps.push_back({output / factor, output, 1});
      continue;
    }
    const double at = std::clamp((static_cast<double>(output) + 0.5) / static_cast<double>(factor) - 0.5, 0.0,
                                 static_cast<double>(extent - 1));
    const auto left = static_cast<int64_t>(at);
    const auto right_weight = static_cast<float>(at - static_cast<double>(left));
    if (right_weight != 1) taps.push_back({left, output, 1 - right_weight});
    if (right_weight != 0) taps.push_back({left + 1, output, right_weight});
  }
  return taps;
}

/// Adds to the rows of C channels of `to`, for all taps of the three axes, weight * the row of `from`.
/// `into_output`: from inputs to outputs; otherwise the other way.
void run(const UpsampleSpec& spec, bool into_output, const float* from, float* to) {
  std::array<std::vector<Tap>, 3> taps;
  int64_t inputs = 1, outputs = 1;
  for (size_t axis = 0; axis < 3; ++axis) {
    taps[axis] = taps_of(spec.extents[axis], spec.factors[axis], spec.linear);
    inputs *= spec.extents[axis];
    outputs *= spec.outputs(axis);
  }
  const int64_t channels = spec.channels;
  std::fill_n(to, spec.samples * channels * (into_output ? outputs : inputs), 0.f);
  for (int64_t n = 0; n < spec.samples; ++n)
    for (const Tap& d : taps[0])
      for (const Tap& h : taps[1])
        for (const Tap& w : taps[2]) {
          const int64_t input =
              ((n * spec.extents[0] + d.input) * spec.extents[1] + h.input) * spec.extents[2] + w.input;
          const int64_t output =
              ((n * spec.outputs(0) + d.output) * spec.outputs(1) + h.output) * spec.outputs(2) + w.output;
          const float weight = d.weight * h.weight * w.weight;
          const float* const source = from + (into_output ? input : output) * channels;
          float* const sum = to + (into_output ? output : input) * channels;
          for (int64_t c = 0; c < channels; ++c) sum[c] += weight * source[c];
        }
}

}  // namespace
}  // namespace cpu

namespace {

void check(const UpsampleSpec& spec, ConstTensor x, ConstTensor y) {
  const auto& in = spec.extents;
  expect(x, DType::f32, {spec.samples, in[0], in[1], in[2], spec.channels}, "upsample: x");
  expect(y, DType::f32, {spec.samples, spec.outputs(0), spec.outputs(1), spec.outputs(2), spec.channels},
         "upsample: y");
}

}  // namespace

void upsample_forward(Exec exec, const UpsampleSpec& spec, ConstTensor x, Tensor y) {
  check(spec, x, y);
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::upsample_forward(exec, spec, x, y);
  }
  cpu::run(spec, true, x.data<float>(), y.data<float>());
}

void upsample_backward(Exec exec, const UpsampleSpec& spec, ConstTensor dy, Tensor dx) {
  check(spec, dx, dy);
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::upsample_backward(exec, spec, dy, dx);
  }
  cpu::run(spec, false, dy.data<float>(), dx.data<float>());
}

}  // namespace lockstep
