#include "src/ops/pointwise/multiply.h"

#include <gmock/gmock.h>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

OpCase multiply_forward_case(const Shape& shape) {
  const int64_t positions = shape[1], channels = shape[2];
  OpCase op;
  op.input("a", shape).input("b", {shape[0], channels}).output("y", shape, kRounding);
  op.runs([](const OpCall& c) { multiply_forward(c.exec, c["a"], c["b"], c["y"]); },
          [](const OpCall& c) { multiply_backward(c.exec, c["a"], c["b"], c["dy"], c["da"], c["db"]); });
  op.oracle = [=](const Values& in) {
    const Doubles& b = in["b"];
    Doubles y = in["a"];
    for (size_t i = 0; i < y.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      y[i] *= b[static_cast<size_t>(at / (positions * channels) * channels + at % channels)];
    }
    return Values{{"y", y}};
  };
  op.may_alias = {{"y", "a"}};
  op.activations = {"a", "b", "y"};
  return op;
}

/// backward reads a, so y does not overwrite it.
OpCase multiply_case(const Shape& shape) {
  OpCase op = multiply_forward_case(shape);
  op.output_gradient("y").gradient("a", kGradient, {.first = shape.elements()});
  op.gradient("b", kSum, {.first = shape[0], .last = shape[-1]});
  op.may_alias = {{"da", "dy"}};
  op.may_be_absent = {"da", "db"};
  return op;
}

const RegisterOp kMultiply("multiply", [](Op& op) {
  for (const Shape& sample : {Shape{1, 1}, Shape{1, 70}, Shape{9, 3}, Shape{20, 33}})
    op.add("samples of " + to_string(sample), 2,
           [sample](int64_t n) { return multiply_case(sample.batched(n)); });
  op.add("forward in place", 2, [](int64_t n) { return multiply_forward_case({n, 9, 35}); });
  op.time("squeeze-excite", 64, [](int64_t n) { return multiply_case({n, 14 * 14, 256}); });
});

}  // namespace
}  // namespace lockstep::test
