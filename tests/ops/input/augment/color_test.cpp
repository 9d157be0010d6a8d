#include "src/ops/input/augment/color.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

/// From the definition, one sample after the other.
Doubles oracle_of(const Shape& shape, double max, const Values& in) {
  Doubles x = in["x"];
  const auto positions = static_cast<size_t>(shape[1]), channels = static_cast<size_t>(shape[2]);
  const auto clamp = [&](double v) { return max > 0 ? std::clamp(v, 0.0, max) : v; };
  for (size_t n = 0; n < static_cast<size_t>(shape[0]); ++n) {
    std::vector<Doubles> v(positions, Doubles(channels));
    const auto index = [&](size_t p, size_t c) { return (n * positions + p) * channels + c; };
    const auto grey = [&](const Doubles& of) {
      if (channels == 3) return 0.299 * of[0] + 0.587 * of[1] + 0.114 * of[2];
      double sum = 0;
      for (const double value : of) sum += value / static_cast<double>(channels);
      return sum;
    };
    const double b = in["factors"][3 * n], k = in["factors"][3 * n + 1], s = in["factors"][3 * n + 2];
    if (b == 1 && k == 1 && s == 1) continue;
    double mean = 0;
    for (size_t p = 0; p < positions; ++p) {
      for (size_t c = 0; c < channels; ++c) {
        v[p][c] = (x[index(p, c)] - in["zero"][c]) / in["scale"][c];
        if (b != 1) v[p][c] = clamp(b * v[p][c]);
      }
      mean += grey(v[p]) / static_cast<double>(positions);
    }
    for (size_t p = 0; p < positions; ++p) {
      for (double& value : v[p])
        if (k != 1) value = clamp(mean + k * (value - mean));
      const double g = grey(v[p]);
      for (size_t c = 0; c < channels; ++c) {
        if (s != 1) v[p][c] = clamp(g + s * (v[p][c] - g));
        x[index(p, c)] = v[p][c] * in["scale"][c] + in["zero"][c];
      }
    }
  }
  return x;
}

OpCase color_case(int64_t samples, int64_t positions, int64_t channels, float max) {
  const Doubles choices = {1.3, 0.7, 1.4, 1, 1, 1, 0.8, 1, 1, 1, 1.25, 1, 1, 1, 0};
  Doubles factors;
  for (int64_t i = 0; i < samples * kColorFactors; ++i)
    factors.push_back(choices[static_cast<size_t>(i) % choices.size()]);
  const Shape shape{samples, positions, channels};
  OpCase op;
  op.input("factors", {samples, kColorFactors}, exactly(factors));
  op.input("scale", {channels}, between(0.5, 2)).input("zero", {channels});
  // Some stored values lie outside of [0, max] before they are clamped.
  op.state("x", shape, between(-1, 3), {2e-5, 1e-5, "about ten roundings of values up to 12"});
  op.runs([=](const OpCall& c) { adjust_color(c.exec, max, c["factors"], c["scale"], c["zero"], c["x"]); });
  op.oracle = [=](const Values& in) { return Values{{"x", oracle_of(shape, double{max}, in)}}; };
  return op;
}

const RegisterOp kColor("adjust_color", [](Op& op) {
  for (const int64_t channels : {3, 1, 4})
    for (const float max : {0.f, 1.5f})
      for (const int64_t positions : {1, 35, 700})
        op.add(fmt::format("{} positions of {} channels, max {}", positions, channels, max), 5,
               [=](int64_t samples) { return color_case(samples, positions, channels, max); });
  op.time("images", 64, [](int64_t samples) { return color_case(samples, 32 * 32, 3, 1.5f); });
});

}  // namespace
}  // namespace lockstep::test
