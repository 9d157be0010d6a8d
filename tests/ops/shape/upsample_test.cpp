#include "src/ops/shape/upsample.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

/// The value of an axis at a coordinate of the output, from the two nearest centres.
double interpolated(const std::function<double(int64_t)>& at, int64_t extent, int64_t factor, int64_t output,
                    bool linear) {
  if (!linear) return at(output / factor);
  const double x = (static_cast<double>(output) + 0.5) / static_cast<double>(factor) - 0.5;
  const auto left = static_cast<int64_t>(std::floor(x));
  const auto inside = [&](int64_t i) { return std::clamp<int64_t>(i, 0, extent - 1); };
  const double right_weight = x - static_cast<double>(left);
  return (1 - right_weight) * at(inside(left)) + right_weight * at(inside(left + 1));
}

Doubles oracle_of(const UpsampleSpec& spec, const Doubles& x) {
  const auto [depth, height, width] = spec.extents;
  const auto [depth_factor, height_factor, width_factor] = spec.factors;
  Doubles y;
  for (int64_t n = 0; n < spec.samples; ++n)
    for (int64_t d = 0; d < spec.outputs(0); ++d)
      for (int64_t h = 0; h < spec.outputs(1); ++h)
        for (int64_t w = 0; w < spec.outputs(2); ++w)
          for (int64_t c = 0; c < spec.channels; ++c)
            y.push_back(interpolated(
                [&, height = height, width = width, height_factor = height_factor,
                 width_factor = width_factor, depth = depth](int64_t di) {
                  return interpolated(
                      [&](int64_t hi) {
                        return interpolated(
                            [&](int64_t wi) {
                              return x[static_cast<size_t>(
                                  (((n * depth + di) * height + hi) * width + wi) * spec.channels + c)];
                            },
                            width, width_factor, w, spec.linear);
                      },
                      height, height_factor, h, spec.linear);
                },
                depth, depth_factor, d, spec.linear));
  return y;
}

OpCase upsample_case(UpsampleSpec spec, int64_t samples) {
  spec.samples = samples;
  const auto& in = spec.extents;
  OpCase op;
  op.input("x", {samples, in[0], in[1], in[2], spec.channels});
  op.output("y", {samples, spec.outputs(0), spec.outputs(1), spec.outputs(2), spec.channels},
            spec.linear ? kRounding : kExact);
  op.output_gradient("y").gradient("x", kGradient, {.first = samples, .last = spec.channels});
  op.runs([=](const OpCall& c) { upsample_forward(c.exec, spec, c["x"], c["y"]); },
          [=](const OpCall& c) { upsample_backward(c.exec, spec, c["dy"], c["dx"]); });
  op.oracle = [=](const Values& values) { return Values{{"y", oracle_of(spec, values["x"])}}; };
  op.activations = {"x", "y"};
  return op;
}

const RegisterOp kUpsample("upsample", [](Op& op) {
  for (const bool linear : {false, true}) {
    const auto add = [&](const char* name, const UpsampleSpec& spec) {
      op.add(fmt::format("{}, {}", name, linear ? "linear" : "nearest"), 2,
             [spec](int64_t n) { return upsample_case(spec, n); });
    };
    add("by two", {.channels = 3, .extents = {1, 3, 4}, .factors = {1, 2, 2}, .linear = linear});
    add("by odd factors", {.channels = 2, .extents = {1, 2, 5}, .factors = {1, 3, 5}, .linear = linear});
    add("of one axis", {.channels = 5, .extents = {1, 1, 6}, .factors = {1, 1, 4}, .linear = linear});
    add("of three axes", {.channels = 2, .extents = {2, 3, 2}, .factors = {2, 2, 3}, .linear = linear});
    add("of one element", {.channels = 4, .extents = {1, 1, 1}, .factors = {1, 4, 2}, .linear = linear});
    op.time(linear ? "linear" : "nearest", 16, [linear](int64_t n) {
      return upsample_case({.channels = 64, .extents = {1, 28, 28}, .factors = {1, 2, 2}, .linear = linear},
                           n);
    });
  }
});

}  // namespace
}  // namespace lockstep::test
