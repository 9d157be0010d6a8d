#include "src/ops/loss/elementwise_loss.h"

#include <gmock/gmock.h>

#include "tests/support/backend.h"
#include "tests/support/compare.h"

namespace lockstep::test {
namespace {

class ElementwiseLossTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(ElementwiseLossTest);

constexpr float kDelta = 0.3f, kWeight = 0.25f;

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

struct Case {
  int64_t rows, outputs;
  int32_t valid;
};
const Case kCases[] = {{1, 1, 1}, {5, 10, 3}, {3, 33, 3}, {2, 300, 2}, {33, 2, 32}};
const ElementwiseLoss kLosses[] = {ElementwiseLoss::squared, ElementwiseLoss::absolute,
                                   ElementwiseLoss::huber, ElementwiseLoss::binary_cross_entropy};

std::vector<float> targets_of(ElementwiseLoss kind, int64_t count) {
  std::vector<float> targets = random_values(count, 2);
  if (kind == ElementwiseLoss::binary_cross_entropy)
    for (float& target : targets) target = target > 0 ? 1 : 0;
  return targets;
}

/// The sum over the first `valid` rows of loss * weight, as a function of their predictions.
Doubles weighted_sum(ElementwiseLoss kind, const Case& c, const std::vector<float>& targets,
                     const std::vector<float>& positive, const Doubles& at) {
  double sum = 0;
  for (size_t i = 0; i < static_cast<size_t>(c.valid * c.outputs); ++i)
    sum += kWeight / static_cast<double>(c.outputs) *
           torch_loss(kind, at[i], targets[i], positive.empty() ? 1 : positive[i % positive.size()]);
  return {sum};
}

TEST_P(ElementwiseLossTest, IsTheMeanOverOutputsOfPyTorch) {
  for (const ElementwiseLoss kind : kLosses)
    for (const Case& c : kCases)
      for (const bool has_weights : {false, true}) {
        SCOPED_TRACE(
            fmt::format("loss {}, ({}, {}), {} valid", static_cast<int>(kind), c.rows, c.outputs, c.valid));
        if (has_weights && kind != ElementwiseLoss::binary_cross_entropy) continue;
        const int64_t columns = c.outputs % 2 == 0 ? 2 : 1;
        const Shape shape{c.rows, c.outputs};
        const auto prediction = random_values(shape.elements(), 1),
                   target = targets_of(kind, shape.elements());
        const auto positive = has_weights ? random_values(columns, 3, 0.5f, 4) : std::vector<float>{};
        const auto count = static_cast<std::ptrdiff_t>(c.valid * c.outputs);
        const std::vector<float> real(prediction.begin(), prediction.begin() + count);
        const auto loss = [&](const Doubles& at) { return weighted_sum(kind, c, target, positive, at); };

        const OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = c.valid, .weight = kWeight});
        const Guarded<float> weights(exec(), {static_cast<int64_t>(positive.size())}, positive);
        const Guarded<float> p(exec(), shape, prediction), t(exec(), shape, target), dp(exec(), shape),
            metrics(exec(), {kLossMetrics}), evaluated(exec(), {kLossMetrics});
        const ElementwiseLossSpec spec{.loss = kind,
                                       .huber_delta = kDelta,
                                       .positive_weights = has_weights ? weights.span().data() : nullptr,
                                       .positive_columns = columns};
        elementwise_loss(exec(), info.get(), spec, p, t, dp, metrics);
        elementwise_loss(exec(), info.get(), spec, p, t, {}, evaluated);
        expect_close(metrics.values(), {loss(to_double(real))[0], 0, double{kWeight} * c.valid}, kSum,
                     "metrics");
        EXPECT_EQ(evaluated.values(), metrics.values());
        const std::vector<float> gradient = dp.values();
        expect_gradient({gradient.begin(), gradient.begin() + count}, loss, real, {1.f}, "dprediction");
        EXPECT_TRUE(std::all_of(gradient.begin() + count, gradient.end(), [](float g) { return g == 0; }));
        elementwise_loss(exec(), info.get(), spec, p, t, p, metrics);
        EXPECT_EQ(p.values(), gradient) << "in place";
      }
}

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
