#include "src/ops/shape/pad.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

Doubles oracle_of(const PadSpec& spec, const Doubles& x) {
  const auto inside = [&](size_t axis, int64_t i) { return 0 <= i && i < spec.extents[axis]; };
  Doubles y;
  for (int64_t n = 0; n < spec.samples; ++n)
    for (int64_t d = -spec.before[0]; d < spec.extents[0] + spec.after[0]; ++d)
      for (int64_t h = -spec.before[1]; h < spec.extents[1] + spec.after[1]; ++h)
        for (int64_t w = -spec.before[2]; w < spec.extents[2] + spec.after[2]; ++w)
          for (int64_t c = 0; c < spec.channels; ++c) {
            const int64_t row = (n * spec.extents[0] + d) * spec.extents[1] + h;
            const bool is_input = inside(0, d) && inside(1, h) && inside(2, w);
            y.push_back(is_input ? x[static_cast<size_t>((row * spec.extents[2] + w) * spec.channels + c)]
                                 : 0);
          }
  return y;
}

OpCase pad_case(PadSpec spec, int64_t samples) {
  spec.samples = samples;
  OpCase op;
  op.input("x", spec.input_shape()).output("y", spec.output_shape(), kExact);
  op.output_gradient("y").gradient("x", kGradient, {.first = samples, .last = spec.channels});
  op.runs([=](const OpCall& c) { pad_forward(c.exec, spec, c["x"], c["y"]); },
          [=](const OpCall& c) { pad_backward(c.exec, spec, c["dy"], c["dx"]); });
  op.oracle = [=](const Values& in) { return Values{{"y", oracle_of(spec, in["x"])}}; };
  op.activations = {"x", "y"};
  return op;
}

const RegisterOp kPad("pad", [](Op& op) {
  const auto add = [&](const char* name, const PadSpec& spec) {
    op.add(name, 2, [spec](int64_t n) { return pad_case(spec, n); });
  };
  add("one axis", {.channels = 3, .extents = {1, 1, 5}, .before = {0, 0, 2}, .after = {0, 0, 1}});
  add("images", {.channels = 2, .extents = {1, 3, 4}, .before = {0, 1, 1}, .after = {0, 1, 1}});
  add("at the end", {.channels = 5, .extents = {1, 4, 3}, .after = {0, 1, 2}});
  add("at the beginning", {.channels = 1, .extents = {1, 2, 2}, .before = {0, 3, 0}});
  add("volumes", {.channels = 2, .extents = {2, 3, 2}, .before = {1, 0, 2}, .after = {2, 1, 0}});
  add("nothing", {.channels = 4, .extents = {1, 3, 3}});
  op.time("images", 16, [](int64_t n) {
    return pad_case({.channels = 64, .extents = {1, 28, 28}, .before = {0, 1, 1}, .after = {0, 1, 1}}, n);
  });
});

}  // namespace
}  // namespace lockstep::test
