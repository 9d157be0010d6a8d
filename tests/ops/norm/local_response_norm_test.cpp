#include "src/ops/norm/local_response_norm.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

Values oracle_of(const LocalResponseNormSpec& spec, int64_t rows, int64_t channels, const Doubles& x) {
  Doubles y, scale;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < channels; ++c) {
      double squares = 0;
      for (int64_t j = 0; j < spec.size; ++j) {
        const int64_t other = c - spec.size / 2 + j;
        if (0 <= other && other < channels)
          squares += std::pow(x[static_cast<size_t>(row * channels + other)], 2);
      }
      scale.push_back(double{spec.k} + double{spec.alpha} * squares / static_cast<double>(spec.size));
      y.push_back(x[static_cast<size_t>(row * channels + c)] * std::pow(scale.back(), -double{spec.beta}));
    }
  return {{"y", y}, {"scale", scale}};
}

OpCase local_response_norm_case(const LocalResponseNormSpec& spec, const Shape& shape, const Fill& x = {}) {
  OpCase op;
  op.input("x", shape, x).output("y", shape, kFunction).output("scale", shape, kRounding);
  op.output_gradient("y").gradient("x", kGradient, {.first = shape[0]});
  op.runs([=](const OpCall& c) { local_response_norm_forward(c.exec, spec, c["x"], c["y"], c["scale"]); },
          [=](const OpCall& c) {
            local_response_norm_backward(c.exec, spec, c["x"], c["scale"], c["dy"], c["dx"]);
          });
  op.oracle = [=](const Values& in) { return oracle_of(spec, shape[0], shape[1], in["x"]); };
  op.activations = {"x", "y"};
  return op;
}

const RegisterOp kLocalResponseNorm("local_response_norm", [](Op& op) {
  const auto add = [&](const char* name, const LocalResponseNormSpec& spec, int64_t channels,
                       const Fill& x = {}) {
    op.add(name, 4, [=](int64_t n) { return local_response_norm_case(spec, {n, channels}, x); });
  };
  // Factors of size 1, or the norm would change next to nothing.
  add("five channels", {.alpha = 2}, 9);
  add("an even number of channels", {.size = 4, .alpha = 3, .k = 2}, 7);
  add("each channel alone", {.size = 1, .alpha = 1}, 5);
  add("more channels than there are", {.size = 12, .alpha = 2, .k = 0.5}, 3);
  add("one channel", {.alpha = 2}, 1);
  add("another exponent", {.size = 3, .alpha = 2, .beta = 1.5, .k = 0.5}, 6);
  add("exponent 0", {.size = 3, .alpha = 2, .beta = 0}, 6);
  add("AlexNet", {.alpha = 1e-4f, .k = 2}, 33, between(-20, 20));
  op.time("AlexNet", 55 * 55, [](int64_t n) { return local_response_norm_case({}, {n, 96}); });
});

}  // namespace
}  // namespace lockstep::test
