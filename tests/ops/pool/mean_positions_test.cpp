#include "src/ops/pool/mean_positions.h"

#include <algorithm>

#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

OpCase mean_case(int64_t samples, int64_t positions, int64_t channels, bool masked) {
  OpCase op;
  op.input("x", {samples, positions, channels});
  Doubles mask;  // the second sample has no position that counts
  for (int64_t i = 0; i < samples * positions; ++i) mask.push_back(i / positions != 1 && i % 3 != 1);
  if (masked) op.input("mask", {samples, positions}, exactly(mask));
  op.output("y", {samples, channels}, kSum).output_gradient("y");
  op.gradient("x", kGradient, {.first = samples, .last = channels});
  op.runs([](const OpCall& c) { mean_positions_forward(c.exec, c["x"], c["mask"], c["y"]); },
          [](const OpCall& c) { mean_positions_backward(c.exec, c["mask"], c["dy"], c["dx"]); });
  op.oracle = [=](const Values& in) {
    Doubles y(static_cast<size_t>(samples * channels));
    for (int64_t n = 0; n < samples; ++n)
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0, count = 0;
        for (int64_t t = 0; t < positions; ++t) {
          const double weight = masked ? in["mask"][static_cast<size_t>(n * positions + t)] : 1;
          sum += weight * in["x"][static_cast<size_t>((n * positions + t) * channels + c)];
          count += weight;
        }
        y[static_cast<size_t>(n * channels + c)] = count == 0 ? 0 : sum / count;
      }
    return Values{{"y", y}};
  };
  op.activations = {"x", "mask", "y"};
  return op;
}

const RegisterOp kMeanPositions("mean_positions", [](Op& op) {
  for (const bool masked : {false, true})
    for (const auto& [positions, channels] : {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {70, 2}, {2, 150}})
      op.add(fmt::format("{} positions of {}{}", positions, channels, masked ? ", masked" : ""), {2, 5},
             [positions = positions, channels = channels, masked](int64_t n) {
               return mean_case(n, positions, channels, masked);
             });
});

}  // namespace
}  // namespace lockstep::test
