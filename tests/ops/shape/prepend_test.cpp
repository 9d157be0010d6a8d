#include "src/ops/shape/prepend.h"

#include <algorithm>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

OpCase prepend_case(int64_t samples, int64_t positions, int64_t channels) {
  OpCase op;
  op.input("token", {channels}).input("x", {samples, positions, channels});
  op.output("y", {samples, positions + 1, channels}, kExact).output_gradient("y");
  op.gradient("token", kSum).gradient("x", kGradient, {.first = samples});
  op.may_be_absent = {"dtoken", "dx"};
  op.activations = {"x", "y"};
  op.parameters = {"token"};
  op.runs([](const OpCall& c) { prepend_forward(c.exec, c["token"], c["x"], c["y"]); },
          [](const OpCall& c) { prepend_backward(c.exec, c["dy"], c["dx"], c["dtoken"]); });
  op.oracle = [=](const Values& in) {
    Doubles y;
    for (int64_t n = 0; n < samples; ++n) {
      const auto x = in["x"].begin() + n * positions * channels;
      y.insert(y.end(), in["token"].begin(), in["token"].end());
      y.insert(y.end(), x, x + positions * channels);
    }
    return Values{{"y", y}};
  };
  return op;
}

const RegisterOp kPrepend("prepend", [](Op& op) {
  for (const auto& [positions, channels] : {std::pair<int64_t, int64_t>{1, 1}, {3, 5}, {4, 8}, {2, 70}})
    op.add(fmt::format("{} positions of {}", positions, channels), {2, 9},
           [positions = positions, channels = channels](int64_t n) {
             return prepend_case(n, positions, channels);
           });
  op.add("many samples", 150, [](int64_t n) { return prepend_case(n, 1, 3); });
});

}  // namespace
}  // namespace lockstep::test
