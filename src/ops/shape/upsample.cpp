#include "src/ops/shape/upsample.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "src/device/with_cuda.h"
#include "src/ops/check.h"
#include "src/ops/cuda_ops.h"
#include "src/tensor/real.h"

namespace lockstep {

namespace cpu {
namespace {

/// A term of a sum: an element of `from`, along one axis.
struct Tap {
  int64_t source;
  double weight;
};

/// The terms of each element of `to` along an axis, with weights above 0. `into_output`: outputs are sums of
/// inputs; otherwise inputs of outputs, with the same weights.
std::vector<std::vector<Tap>> taps_of(int64_t extent, int64_t factor, bool linear, bool into_output) {
  std::vector<std::vector<Tap>> taps(static_cast<size_t>(into_output ? extent * factor : extent));
  const auto add = [&](int64_t input, int64_t output, double weight) {
    if (weight == 0) return;  // a weight of 0 must not turn infinity into NaN
    taps[static_cast<size_t>(into_output ? output : input)].push_back({into_output ? input : output, weight});
  };
  for (int64_t output = 0; output < extent * factor; ++output) {
    if (!linear) {
      add(output / factor, output, 1);
      continue;
    }
    const double at = std::clamp((static_cast<double>(output) + 0.5) / static_cast<double>(factor) - 0.5, 0.0,
                                 static_cast<double>(extent - 1));
    const auto left = static_cast<int64_t>(at);
    const double right_weight = at - static_cast<double>(left);
    add(left, output, 1 - right_weight);
    add(left + 1, output, right_weight);
  }
  return taps;
}

/// Each row of C channels of `to` is the sum of weight * row of `from` over the taps of the three axes, in
/// double: rounded once, so that it is exact where terms cancel.
template <Real T>
void run(const UpsampleSpec& spec, bool into_output, const T* from, T* to) {
  std::array<std::vector<std::vector<Tap>>, 3> taps;
  std::array<int64_t, 3> sources{};
  for (size_t axis = 0; axis < 3; ++axis) {
    taps[axis] = taps_of(spec.extents[axis], spec.factors[axis], spec.linear, into_output);
    sources[axis] = into_output ? spec.extents[axis] : spec.outputs(axis);
  }
  std::vector<double> sums(static_cast<size_t>(spec.channels));
  const auto add_row = [&](int64_t row, double weight) {
    const T* const values = from + row * spec.channels;
    for (size_t c = 0; c < sums.size(); ++c) sums[c] += weight * double{values[c]};
  };
  for (int64_t n = 0; n < spec.samples; ++n)
    for (const auto& depths : taps[0])
      for (const auto& heights : taps[1])
        for (const auto& widths : taps[2]) {
          std::ranges::fill(sums, 0.0);
          for (const Tap& d : depths)
            for (const Tap& h : heights)
              for (const Tap& w : widths)
                add_row(((n * sources[0] + d.source) * sources[1] + h.source) * sources[2] + w.source,
                        d.weight * h.weight * w.weight);
          for (const double sum : sums) *to++ = T(static_cast<float>(sum));
        }
}

}  // namespace
}  // namespace cpu

namespace {

void check(const UpsampleSpec& spec, ConstTensor x, ConstTensor y) {
  const auto& in = spec.extents;
  expect_real(x, {spec.samples, in[0], in[1], in[2], spec.channels}, "upsample: x");
  expect(y, x.dtype(), {spec.samples, spec.outputs(0), spec.outputs(1), spec.outputs(2), spec.channels},
         "upsample: y");
}

}  // namespace

void upsample_forward(Exec exec, const UpsampleSpec& spec, ConstTensor x, Tensor y) {
  check(spec, x, y);
  if (is_empty(y)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::upsample_forward(exec, spec, x, y);
  }
  with_cpu_real(y.dtype(), [&]<Real T>(T) { cpu::run(spec, true, x.data<T>(), y.data<T>()); });
}

void upsample_backward(Exec exec, const UpsampleSpec& spec, ConstTensor dy, Tensor dx) {
  check(spec, dx, dy);
  if (is_empty(dx)) return;
  if constexpr (kCuda) {
    if (exec.on_cuda()) return cuda::upsample_backward(exec, spec, dy, dx);
  }
  with_cpu_real(dx.dtype(), [&]<Real T>(T) { cpu::run(spec, false, dy.data<T>(), dx.data<T>()); });
}

}  // namespace lockstep
