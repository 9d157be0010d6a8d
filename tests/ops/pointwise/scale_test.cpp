#include "src/ops/pointwise/scale.h"

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

OpCase scale_case(int64_t rows, int64_t width, float factor) {
  OpCase op;
  op.input("x", {rows, width}).output("y", {rows, width}, kRounding);
  op.output_gradient("y").gradient("x", kGradient, {.first = rows * width});
  op.runs([=](const OpCall& c) { scale(c.exec, factor, c["x"], c["y"]); },
          [=](const OpCall& c) { scale(c.exec, factor, c["dy"], c["dx"]); });
  op.oracle = [=](const Values& in) {
    Doubles y = in["x"];
    for (double& value : y) value *= double{factor};
    return Values{{"y", y}};
  };
  op.may_alias = {{"y", "x"}, {"dx", "dy"}};
  op.activations = {"x", "y"};
  return op;
}

const RegisterOp kScale("scale", [](Op& op) {
  for (const float factor : {1.2f, -0.375f})
    for (const int64_t width : {1, 7, 130})
      op.add(fmt::format("by {}, {} wide", factor, width), 3,
             [=](int64_t rows) { return scale_case(rows, width, factor); });
  op.time("scale", 64, [](int64_t rows) { return scale_case(rows, 4096, 0.5f); });
});

}  // namespace
}  // namespace lockstep::test
