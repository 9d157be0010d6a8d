#include "src/ops/loss/elementwise_loss.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/support/backend.h"
#include "tests/support/harness/op_case.h"

namespace lockstep::test {
namespace {

constexpr float kDelta = 0.3f;

/// PyTorch's definitions, of one output.
double torch_loss(ElementwiseLoss kind, double p, double t, double positive_weight) {
  const double error = std::abs(p - t), sigmoid = 1 / (1 + std::exp(-p));
  switch (kind) {
    case ElementwiseLoss::squared:
      return error * error;
    case ElementwiseLoss::absolute:
      return error;
    case ElementwiseLoss::huber:
      return error <= kDelta ? error * error / 2 : kDelta * (error - kDelta / 2);
    case ElementwiseLoss::binary_cross_entropy:
      return -positive_weight * t * std::log(sigmoid) - (1 - t) * std::log(1 - sigmoid);
  }
  return 0;
}

/// positive_columns: 0 for no weights of t = 1.
OpCase loss_case(ElementwiseLoss kind, int64_t positive_columns, int64_t rows, int64_t outputs) {
  const Shape shape{rows, outputs};
  Fill target;
  if (kind == ElementwiseLoss::binary_cross_entropy)
    target.map = [](double value) { return value > 0 ? 1.0 : 0.0; };
  OpCase op;
  op.input("prediction", shape).input("target", shape, target);
  if (positive_columns > 0) op.input("positive", {positive_columns}, between(0.5, 4));
  op.output("metrics", {kLossMetrics}, kSum).gradient("prediction");
  op.weights = {{"metrics", {1, 0, 0}}};
  op.may_alias = {{"dprediction", "prediction"}};
  op.may_be_absent = {"dprediction"};
  op.activations = {"dprediction"};
  op.is_padded = true;
  op.pointers = {"positive"};
  op.runs([=](const OpCall& c) {
    const ElementwiseLossSpec spec{.loss = kind,
                                   .huber_delta = kDelta,
                                   .positive_weights = c["positive"].data<float>(),
                                   .positive_columns = std::max<int64_t>(positive_columns, 1)};
    elementwise_loss(c.exec, c.info, spec, c["prediction"], c["target"], c["dprediction"], c["metrics"]);
  });
  op.oracle = [=, weight = double{op.info.weight}](const Values& in) {
    double sum = 0;
    const Doubles &positive = in["positive"], &predictions = in["prediction"], &targets = in["target"];
    for (size_t i = 0; i < targets.size(); ++i)
      sum +=
          weight / static_cast<double>(outputs) *
          torch_loss(kind, predictions[i], targets[i], positive.empty() ? 1 : positive[i % positive.size()]);
    return Values{{"metrics", {sum, 0, weight * static_cast<double>(rows)}}};
  };
  return op;
}

void add_cases(Op& op, ElementwiseLoss kind) {
  const bool may_weigh = kind == ElementwiseLoss::binary_cross_entropy;
  for (const auto& [rows, outputs] : {std::array<int64_t, 2>{1, 1}, {5, 10}, {3, 33}, {2, 300}, {33, 2}})
    for (const int64_t columns : {int64_t{0}, outputs % 2 == 0 ? int64_t{2} : int64_t{1}})
      if (columns == 0 || may_weigh)
        op.add(fmt::format("{} outputs{}", outputs, columns == 0 ? "" : ", weights"), rows,
               [=, outputs = outputs](int64_t n) { return loss_case(kind, columns, n, outputs); });
}

const RegisterOp kSquared("squared_error", [](Op& op) { add_cases(op, ElementwiseLoss::squared); });
const RegisterOp kAbsolute("absolute_error", [](Op& op) { add_cases(op, ElementwiseLoss::absolute); });
const RegisterOp kHuber("huber", [](Op& op) { add_cases(op, ElementwiseLoss::huber); });
const RegisterOp kBinary("binary_cross_entropy",
                         [](Op& op) { add_cases(op, ElementwiseLoss::binary_cross_entropy); });

class ElementwiseLossTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(ElementwiseLossTest);

const ElementwiseLoss kLosses[] = {ElementwiseLoss::squared, ElementwiseLoss::absolute,
                                   ElementwiseLoss::huber, ElementwiseLoss::binary_cross_entropy};

TEST_P(ElementwiseLossTest, PaddingAddsNothingAndNaNIsSeen) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ElementwiseLoss kind : kLosses) {
    SCOPED_TRACE(static_cast<int>(kind));
    const Guarded<float> p(exec(), {2, 2}, {1, nan, nan, nan}), t(exec(), {2, 2}, {1, 0, nan, nan}),
        dp(exec(), {2, 2}), metrics(exec(), {kLossMetrics});
    const OnBackend<MicroBatchInfo> none(exec(), {.step = 0, .valid = 0, .weight = 1}),
        one(exec(), {.step = 0, .valid = 1, .weight = 1});
    elementwise_loss(exec(), none.get(), {.loss = kind}, p, t, dp, metrics);
    EXPECT_THAT(metrics.values(), testing::Each(0.f));
    EXPECT_THAT(dp.values(), testing::Each(0.f));
    elementwise_loss(exec(), one.get(), {.loss = kind}, p, t, dp, metrics);
    EXPECT_TRUE(std::isnan(metrics.values()[0]));
    EXPECT_TRUE(std::isnan(dp.values()[1]));
    EXPECT_EQ(dp.values()[2], 0);
  }
}

TEST_P(ElementwiseLossTest, LargeLogitsHaveAFiniteLossAndGradient) {
  const OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = 1, .weight = 1});
  const Guarded<float> p(exec(), {1, 4}, {1e4f, 1e4f, -1e4f, -1e4f}), t(exec(), {1, 4}, {1, 0, 1, 0}),
      dp(exec(), {1, 4}), metrics(exec(), {kLossMetrics});
  elementwise_loss(exec(), info.get(), {.loss = ElementwiseLoss::binary_cross_entropy}, p, t, dp, metrics);
  EXPECT_EQ(metrics.values()[0], 5e3f);
  EXPECT_THAT(dp.values(), testing::ElementsAre(0, 0.25f, -0.25f, 0));
}

}  // namespace
}  // namespace lockstep::test
