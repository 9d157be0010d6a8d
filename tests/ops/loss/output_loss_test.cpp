#include "src/ops/loss/output_loss.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

constexpr float kWeight = 0.3f;

OpCase output_loss_case(float weight, bool is_first, const Shape& shape, const Fill& own, const Fill& total) {
  OpCase op;
  op.input("own", {kLossMetrics}, own);
  op.state("gradient", shape, {}, kRounding);
  if (is_first)
    op.output("total", {kLossMetrics}, kRounding);
  else
    op.state("total", {kLossMetrics}, total, kSum);
  op.pointers = {"gradient"};
  op.activations = {"gradient"};
  op.runs([=](const OpCall& c) {
    add_output_loss(c.exec, weight, is_first, c["own"], c["gradient"], c["total"]);
  });
  op.oracle = [=](const Values& in) {
    Doubles gradient = in["gradient"], sums = is_first ? in["own"] : in["total"];
    for (double& value : gradient) value *= double{weight};
    sums[0] = double{weight} * in["own"][0] + (is_first ? 0 : in["total"][0]);
    return Values{{"gradient", gradient}, {"total", sums}};
  };
  return op;
}

const RegisterOp kOutputLoss("add_output_loss", [](Op& op) {
  for (const bool is_first : {true, false}) {
    const std::string name = is_first ? "the first output" : "another output";
    // The sums do not depend on the rows, and are exact.
    const auto make = [=](int64_t width) {
      return [=](int64_t rows) {
        return output_loss_case(0.25f, is_first, {rows, width}, exactly({1.5, 3, 2}), exactly({0.75, 1, 2}));
      };
    };
    for (const int64_t width : {1, 10, 300})
      op.add(fmt::format("{}, {} wide", name, width), {5, 33}, make(width));
    op.add(name, output_loss_case(kWeight, is_first, {7, 3}, between(0, 3), between(0, 3)));
    if (!is_first) op.time("a thousand classes", 64, make(1000));
  }
});

class OutputLossTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(OutputLossTest);

TEST_P(OutputLossTest, AWeightOfOneChangesNoBit) {
  const std::vector<float> loss = {0.7f, 3, 1}, values = random_values(40, 1);
  const Guarded<float> own(exec(), {kLossMetrics}, loss), gradient(exec(), {4, 10}, values),
      total(exec(), {kLossMetrics});
  add_output_loss(exec(), 1, true, own, gradient, total);
  EXPECT_EQ(total.values(), loss);
  EXPECT_EQ(gradient.values(), values);
}

TEST_P(OutputLossTest, ALossThatIsNotFiniteShowsInTheSum) {
  const Guarded<float> own(exec(), {kLossMetrics}, {INFINITY, 0, 1}), gradient(exec(), {1, 2}, {1, 2}),
      total(exec(), {kLossMetrics}, {0.5f, 1, 1});
  add_output_loss(exec(), kWeight, false, own, gradient, total);
  EXPECT_EQ(total.values()[0], INFINITY);
  EXPECT_EQ(total.values()[1], 1) << "the answers are those of the main output";
}

}  // namespace
}  // namespace lockstep::test
