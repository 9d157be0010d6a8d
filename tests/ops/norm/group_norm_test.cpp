#include "src/ops/norm/group_norm.h"

#include <cmath>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

/// From the definition, one group after the other.
Values oracle_of(const GroupNormSpec& spec, const Shape& shape, const Values& in) {
  const int64_t positions = shape[1], channels = shape[2], width = channels / spec.groups;
  const Doubles &x = in["x"], &scale = in["scale"], &shift = in["shift"];
  Doubles y(x.size()), means, inverse_stds;
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t g = 0; g < spec.groups; ++g) {
      std::vector<size_t> group;
      for (int64_t p = 0; p < positions; ++p)
        for (int64_t c = g * width; c < (g + 1) * width; ++c)
          group.push_back(static_cast<size_t>((n * positions + p) * channels + c));
      const auto size = static_cast<double>(group.size());
      double mean = 0, variance = 0;
      for (const size_t i : group) mean += spec.centered ? x[i] / size : 0;
      for (const size_t i : group) variance += (x[i] - mean) * (x[i] - mean) / size;
      const double inverse_std = 1 / std::sqrt(variance + double{spec.epsilon});
      for (const size_t i : group) {
        const size_t c = i % static_cast<size_t>(channels);
        y[i] = (x[i] - mean) * inverse_std * scale[c] + (shift.empty() ? 0 : shift[c]);
      }
      means.push_back(mean);
      inverse_stds.push_back(inverse_std);
    }
  return {{"y", y}, {"mean", means}, {"inverse_std", inverse_stds}};
}

OpCase forward_case(const GroupNormSpec& spec, const Shape& shape, bool has_shift,
                    const Fill& x = between(-1, 3), const Tolerance& y = kNormalized,
                    bool adds_to_dx = false) {
  const Shape channels{shape[2]}, groups{shape[0], spec.groups};
  OpCase op;
  op.input("x", shape, x).input("scale", channels, between(0.5, 2));
  if (has_shift) op.input("shift", channels);
  op.output("y", shape, y).output("mean", groups, kSum).output("inverse_std", groups, kNormalized);
  op.runs(
      [=](const OpCall& c) {
        group_norm_forward(c.exec, spec, c["x"], c["scale"], c["shift"], c["y"], c["mean"], c["inverse_std"]);
      },
      [=](const OpCall& c) {
        group_norm_backward(c.exec, spec, c["x"], c["scale"], c["mean"], c["inverse_std"], c["dy"], c["dx"],
                            c["dscale"], c["dshift"], adds_to_dx);
      });
  op.oracle = [=](const Values& in) { return oracle_of(spec, shape, in); };
  op.may_alias = {{"y", "x"}};
  op.activations = {"x", "y"};
  return op;
}

OpCase adding_case(const GroupNormSpec& spec, const Shape& shape) {
  OpCase op = forward_case(spec, shape, true, between(-1, 3), kNormalized, true);
  const Parts channels{.last = shape[2]};
  op.output_gradient("y").gradient("x", kNormalized, {.first = shape[0]});
  op.gradient("scale", kNormalized, channels).gradient("shift", kGradient, channels);
  op.may_alias.clear();
  return op.adds_to_gradient("x");
}

OpCase group_norm_case(const GroupNormSpec& spec, const Shape& shape, bool has_shift = true) {
  OpCase op = forward_case(spec, shape, has_shift);
  const Parts channels{.last = shape[2]};
  op.output_gradient("y").gradient("x", kNormalized, {.first = shape[0]});
  op.gradient("scale", kNormalized, channels);
  if (has_shift) op.gradient("shift", kGradient, channels);
  op.may_alias = {{"dx", "dy"}};  // not y and x, which backward reads
  return op;
}

const RegisterOp kGroupNorm("group_norm", [](Op& op) {
  for (const int64_t channels : {1, 5, 33, 300})
    op.add(fmt::format("layer norm of {}", channels), {2, 7}, [=](int64_t n) {
      return group_norm_case({}, {n, 1, channels});
    });
  op.add("without a shift", 3, [](int64_t n) { return group_norm_case({}, {n, 1, 6}, false); });
  op.add("RMS norm", 5, [](int64_t n) { return group_norm_case({.centered = false}, {n, 1, 17}, false); });
  op.add("one group of positions", 2, [](int64_t n) { return group_norm_case({}, {n, 4, 3}); });
  op.add("three groups", 2, [](int64_t n) { return group_norm_case({.groups = 3}, {n, 5, 6}); });
  op.add("a group a channel", 2, [](int64_t n) { return group_norm_case({.groups = 4}, {n, 6, 4}); });
  op.add("adds to dx", 3, [](int64_t n) { return adding_case({}, {n, 1, 33}); });
  op.add("three groups add to dx", 2, [](int64_t n) { return adding_case({.groups = 3}, {n, 5, 6}); });
  op.add("forward in place", 2, [](int64_t n) { return forward_case({.groups = 3}, {n, 5, 9}, true); });
  op.add(
      "a large mean costs no digits",
      forward_case({}, {3, 1, 64}, true, {.map = [](double v) { return 1000 + std::round(v * 512) / 512; }},
                   {2e-4, 1e-6, "the mean is rounded to float"}));
  op.time("layer norm", 1024, [](int64_t n) { return group_norm_case({}, {n, 1, 768}); });
  op.time("group norm", 64, [](int64_t n) { return group_norm_case({.groups = 32}, {n, 256, 64}); });
});

}  // namespace
}  // namespace lockstep::test
