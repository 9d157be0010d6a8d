#include "src/ops/loss/loss.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "tests/support/backend.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

class LossTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(LossTest);

struct Result {
  std::vector<float> gradient, metrics;
};

Result run_labels(Exec exec, const MicroBatchInfo& info, float smoothing, int64_t classes,
                  const std::vector<float>& logits, const std::vector<int32_t>& labels) {
  const auto rows = static_cast<int64_t>(labels.size());
  const OnBackend<MicroBatchInfo> on_backend(exec, info);
  const Guarded<float> in(exec, {rows, classes}, logits), gradient(exec, {rows, classes}),
      metrics(exec, {kLossMetrics});
  const Guarded<float> evaluated(exec, {kLossMetrics});
  const Guarded<int32_t> in_labels(exec, {rows}, labels);
  softmax_cross_entropy(exec, on_backend.get(), {.label_smoothing = smoothing}, in, in_labels, gradient,
                        metrics);
  softmax_cross_entropy(exec, on_backend.get(), {.label_smoothing = smoothing}, in, in_labels, {}, evaluated);
  expect_close(evaluated.values(), to_double(metrics.values()), kExact, "evaluation's loss");
  softmax_cross_entropy(exec, on_backend.get(), {.label_smoothing = smoothing}, in, in_labels, in, evaluated);
  expect_close(in.values(), to_double(gradient.values()), kExact, "in place");
  return {gradient.values(), metrics.values()};
}

Result run_soft(Exec exec, const MicroBatchInfo& info, float smoothing, int64_t rows, int64_t classes,
                const std::vector<float>& logits, const std::vector<float>& targets) {
  const OnBackend<MicroBatchInfo> on_backend(exec, info);
  const Guarded<float> in(exec, {rows, classes}, logits), in_targets(exec, {rows, classes}, targets);
  const Guarded<float> gradient(exec, {rows, classes}), metrics(exec, {kLossMetrics}),
      evaluated(exec, {kLossMetrics});
  softmax_cross_entropy_soft(exec, on_backend.get(), {.label_smoothing = smoothing}, in, in_targets, gradient,
                             metrics);
  softmax_cross_entropy_soft(exec, on_backend.get(), {.label_smoothing = smoothing}, in, in_targets, {},
                             evaluated);
  expect_close(evaluated.values(), to_double(metrics.values()), kExact, "evaluation's loss");
  softmax_cross_entropy_soft(exec, on_backend.get(), {.label_smoothing = smoothing}, in, in_targets, in,
                             evaluated);
  expect_close(in.values(), to_double(gradient.values()), kExact, "in place");
  return {gradient.values(), metrics.values()};
}

std::vector<float> one_hot(const std::vector<int32_t>& labels, int64_t classes) {
  std::vector<float> targets(labels.size() * static_cast<size_t>(classes));
  for (size_t row = 0; row < labels.size(); ++row)
    targets[row * static_cast<size_t>(classes) + static_cast<size_t>(labels[row])] = 1;
  return targets;
}

/// How many of the first rows have their first largest logit where the first largest target is.
int64_t count_right(int64_t rows, int64_t classes, const std::vector<float>& logits,
                    const std::vector<float>& targets) {
  int64_t right = 0;
  for (int64_t row = 0; row < rows; ++row) {
    const auto z = logits.begin() + row * classes, t = targets.begin() + row * classes;
    right += std::max_element(z, z + classes) - z == std::max_element(t, t + classes) - t;
  }
  return right;
}

/// Loss, count and gradient of the valid rows against the oracle, and zero gradients for the padding.
void check(const Result& run, const MicroBatchInfo& info, double smoothing, int64_t rows, int64_t classes,
           const std::vector<float>& logits, const std::vector<float>& targets) {
  const int64_t valid = info.valid;
  const auto first = [&](const std::vector<float>& all) {
    return std::vector<float>(all.begin(), all.begin() + valid * classes);
  };
  const auto weighted = [&](const Doubles& at) {
    Doubles losses = oracle::cross_entropy(valid, classes, smoothing, at, to_double(first(targets)));
    for (double& loss : losses) loss *= info.weight;
    return losses;
  };
  double total = 0;
  for (const double loss : weighted(to_double(first(logits)))) total += loss;
  expect_close(run.metrics,
               {total, static_cast<double>(count_right(valid, classes, logits, targets)),
                static_cast<double>(valid) * info.weight},
               kSum, "metrics");
  expect_gradient(first(run.gradient), weighted, first(logits),
                  std::vector<float>(static_cast<size_t>(valid), 1.f), "dlogits");
  for (int64_t i = valid * classes; i < rows * classes; ++i)
    EXPECT_EQ(run.gradient[static_cast<size_t>(i)], 0.f);
}

struct Case {
  int64_t rows, classes;
  int32_t valid;
  float smoothing;
};

const Case kCases[] = {{1, 1, 1, 0},      {5, 10, 5, 0},     {5, 10, 3, 0.1f}, {8, 3, 8, 0.5f},
                       {3, 33, 2, 0.02f}, {2, 300, 2, 0.1f}, {33, 2, 32, 0}};

TEST_P(LossTest, CrossEntropyOfLabelsMatchesTheOracle) {
  for (const Case& test : kCases) {
    SCOPED_TRACE(
        fmt::format("({}, {}), {} valid, smoothing {}", test.rows, test.classes, test.valid, test.smoothing));
    const MicroBatchInfo info{.step = 0, .valid = test.valid, .weight = 0.125f};
    const auto logits = random_values(test.rows * test.classes, 1, -4, 4);
    std::vector<int32_t> labels;
    for (int64_t row = 0; row < test.rows; ++row)
      labels.push_back(static_cast<int32_t>(row * 7 % test.classes));
    const Result run = run_labels(exec(), info, test.smoothing, test.classes, logits, labels);
    check(run, info, test.smoothing, test.rows, test.classes, logits, one_hot(labels, test.classes));
  }
}

TEST_P(LossTest, CrossEntropyOfProbabilitiesMatchesTheOracle) {
  for (const Case& test : kCases) {
    SCOPED_TRACE(
        fmt::format("({}, {}), {} valid, smoothing {}", test.rows, test.classes, test.valid, test.smoothing));
    const MicroBatchInfo info{.step = 0, .valid = test.valid, .weight = 0.125f};
    const auto logits = random_values(test.rows * test.classes, 1, -4, 4);
    const Doubles soft = oracle::softmax(test.rows, test.classes,
                                         to_double(random_values(test.rows * test.classes, 2, -2, 2)));
    const std::vector<float> targets(soft.begin(), soft.end());
    const Result run = run_soft(exec(), info, test.smoothing, test.rows, test.classes, logits, targets);
    check(run, info, test.smoothing, test.rows, test.classes, logits, targets);
  }
}

TEST_P(LossTest, TheFirstOfEqualLogitsIsThePrediction) {
  const MicroBatchInfo info{.step = 0, .valid = 2, .weight = 1};
  EXPECT_EQ(run_labels(exec(), info, 0, 3, {1, 1, 0, 1, 1, 0}, {0, 1}).metrics[1], 1);
}

TEST_P(LossTest, HugeLogitsStayFinite) {
  const MicroBatchInfo info{.step = 0, .valid = 2, .weight = 1};
  const Result run = run_labels(exec(), info, 0, 3, {1e4f, -1e4f, 0, 88, 89, 90}, {0, 2});
  EXPECT_TRUE(std::isfinite(run.metrics[0]));
  for (const float gradient : run.gradient) EXPECT_TRUE(std::isfinite(gradient));
}

TEST_P(LossTest, ANaNLogitMakesTheLossNaN) {
  const MicroBatchInfo info{.step = 0, .valid = 1, .weight = 1};
  for (const int32_t label : {0, 1, 2})
    EXPECT_TRUE(
        std::isnan(run_labels(exec(), {info}, 0, 3, {1, std::numeric_limits<float>::quiet_NaN(), 2}, {label})
                       .metrics[0]));
}

TEST_P(LossTest, AMicroBatchOfPaddingAddsNothing) {
  const MicroBatchInfo info{.step = 0, .valid = 0, .weight = 0.5f};
  const std::vector<float> garbage(6, std::numeric_limits<float>::quiet_NaN());
  const Result labels = run_labels(exec(), info, 0.1f, 3, garbage, {0, 0});
  const Result soft = run_soft(exec(), info, 0.1f, 2, 3, garbage, garbage);
  for (const Result* run : {&labels, &soft}) {
    EXPECT_THAT(run->gradient, testing::Each(0.f));
    EXPECT_THAT(run->metrics, testing::Each(0.f));
  }
  EXPECT_THAT(run_labels(exec(), info, 0, 4, {}, {}).metrics, testing::Each(0.f)) << "no rows at all";
}

TEST_P(LossTest, SoftmaxMatchesTheOracleAndWorksInPlace) {
  for (const Case& test : kCases) {
    const auto logits = random_values(test.rows * test.classes, 1, -30, 30);
    const Guarded<float> in(exec(), {test.rows, test.classes}, logits),
        out(exec(), {test.rows, test.classes});
    softmax(exec(), in, out);
    expect_close(out.values(), oracle::softmax(test.rows, test.classes, to_double(logits)), kFunction,
                 "probabilities");
    softmax(exec(), in, in);
    EXPECT_EQ(in.values(), out.values());
  }
  const Guarded<float> empty(exec(), {0, 3});
  softmax(exec(), empty, empty);
}

}  // namespace
}  // namespace lockstep::test
