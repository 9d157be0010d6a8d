#include <gmock/gmock.h>

#include <cmath>

#include "src/ops/loss/loss.h"
#include "tests/support/backend.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

class WeightedLossTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(WeightedLossTest);

/// Logits of samples with several targets each, and how they are compared.
struct Case {
  int64_t samples, positions, classes;
  int32_t valid;
  float smoothing;
  bool has_weights;
  bool ignores;  ///< every third label
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << fmt::format("{} x {} x {}, {} valid, smoothing {}{}{}", c.samples, c.positions, c.classes, c.valid,
                      c.smoothing, c.has_weights ? ", weights" : "", c.ignores ? ", ignores" : "");
}

const Case kCases[] = {{5, 1, 4, 4, 0, true, false},     {5, 1, 4, 5, 0.1f, true, true},
                       {3, 7, 3, 2, 0, false, true},     {3, 7, 3, 3, 0.2f, true, true},
                       {2, 3, 130, 2, 0.1f, true, true}, {4, 6, 2, 4, 0, false, false}};

constexpr int32_t kIgnoredLabel = 255;

struct Data {
  explicit Data(const Case& c) : rows(c.samples * c.positions) {
    logits = random_values(rows * c.classes, 1, -4, 4);
    weights = random_values(c.classes, 2, 0.2f, 3);
    for (int64_t row = 0; row < rows; ++row)
      labels.push_back(c.ignores && row % 3 == 0 ? kIgnoredLabel : static_cast<int32_t>(row * 7 % c.classes));
  }
  int64_t rows;
  std::vector<float> logits, weights;
  std::vector<int32_t> labels;
};

/// PyTorch's CrossEntropyLoss, from its documentation: numerator and denominator of the weighted mean, over
/// the rows of real samples.
struct Mean {
  double sum = 0, weight = 0;
};
Mean torch_loss(const Case& c, const Data& data, const Doubles& logits) {
  const Doubles probabilities = oracle::softmax(c.valid * c.positions, c.classes, logits);
  Mean mean;
  for (int64_t row = 0; row < c.valid * c.positions; ++row) {
    const int32_t label = data.labels[static_cast<size_t>(row)];
    if (c.ignores && label == kIgnoredLabel) continue;
    const auto weight = [&](int64_t k) {
      return c.has_weights ? double{data.weights[static_cast<size_t>(k)]} : 1.0;
    };
    const auto log_p = [&](int64_t k) {
      return std::log(probabilities[static_cast<size_t>(row * c.classes + k)]);
    };
    double smooth = 0;
    for (int64_t k = 0; k < c.classes; ++k) smooth -= weight(k) * log_p(k);
    mean.sum += -(1 - c.smoothing) * weight(label) * log_p(label) +
                c.smoothing / static_cast<double>(c.classes) * smooth;
    mean.weight += weight(label);
  }
  return mean;
}

TEST_P(WeightedLossTest, IsTheWeightedMeanOfPyTorch) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(testing::PrintToString(c));
    const Data data(c);
    const OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = c.valid, .weight = 0.125f});
    const Guarded<float> weights(exec(), {c.classes}, data.weights);
    const Guarded<float> logits(exec(), {data.rows, c.classes}, data.logits);
    const Guarded<float> gradient(exec(), {data.rows, c.classes}), metrics(exec(), {kLossMetrics});
    const Guarded<int32_t> labels(exec(), {data.rows}, data.labels);
    softmax_cross_entropy(exec(), info.get(),
                          {.label_smoothing = c.smoothing,
                           .positions = c.positions,
                           .class_weights = c.has_weights ? weights.span().data() : nullptr,
                           .ignored_label = c.ignores ? kIgnoredLabel : CrossEntropySpec::kNoLabel},
                          logits, labels, gradient, metrics);
    const double row_weight = 0.125 / static_cast<double>(c.positions);
    const Mean before = torch_loss(c, data, to_double(data.logits));
    const std::vector<float> sums = metrics.values();
    expect_close({sums[0], sums[2]}, {before.sum * row_weight, before.weight * row_weight}, kSum, "sums");

    divide_by_weights(exec(), metrics, gradient.span());
    expect_close({metrics.values()[0]}, {before.sum / before.weight}, kSum, "the mean");
    EXPECT_EQ(metrics.values()[1], sums[1]);
    const auto mean = [&](const Doubles& at) {
      const Mean now = torch_loss(c, data, at);
      return Doubles{now.sum / now.weight};
    };
    const auto real = static_cast<size_t>(c.valid * c.positions * c.classes);
    const std::vector<float> all = gradient.values();
    expect_gradient({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(real)}, mean,
                    {data.logits.begin(), data.logits.begin() + static_cast<std::ptrdiff_t>(real)}, {1.f},
                    "dlogits");
    for (size_t i = real; i < all.size(); ++i) EXPECT_EQ(all[i], 0.f) << "padding";
  }
}

TEST_P(WeightedLossTest, ProbabilitiesAreWeightedByClassAndDividedBySamples) {
  const Case c{.samples = 4,
               .positions = 2,
               .classes = 3,
               .valid = 3,
               .smoothing = 0.1f,
               .has_weights = true,
               .ignores = false};
  const Data data(c);
  const Doubles soft =
      oracle::softmax(data.rows, c.classes, to_double(random_values(data.rows * c.classes, 3, -2, 2)));
  const std::vector<float> targets(soft.begin(), soft.end());
  const auto real = static_cast<size_t>(c.valid * c.positions * c.classes);
  const auto loss = [&](const Doubles& at) {
    const Doubles p = oracle::softmax(c.valid * c.positions, c.classes, at);
    double sum = 0;
    for (size_t i = 0; i < real; ++i) {
      const double q = (1 - c.smoothing) * targets[i] + c.smoothing / 3.0;
      sum -= data.weights[i % 3] * q * std::log(p[i]) * 0.25 / 2;
    }
    return Doubles{sum};
  };
  const OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = c.valid, .weight = 0.25f});
  const Guarded<float> weights(exec(), {c.classes}, data.weights);
  const Guarded<float> logits(exec(), {data.rows, c.classes}, data.logits),
      in_targets(exec(), {data.rows, c.classes}, targets);
  const Guarded<float> gradient(exec(), {data.rows, c.classes}), metrics(exec(), {kLossMetrics});
  softmax_cross_entropy_soft(
      exec(), info.get(),
      {.label_smoothing = c.smoothing, .positions = c.positions, .class_weights = weights.span().data()},
      logits, in_targets, gradient, metrics);
  const std::vector<float> first(data.logits.begin(),
                                 data.logits.begin() + static_cast<std::ptrdiff_t>(real));
  const std::vector<float> all = gradient.values(), sums = metrics.values();
  expect_close({sums[0], sums[2]}, {loss(to_double(first))[0], 3 * 0.25}, kSum, "sums");
  expect_gradient({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(real)}, loss, first, {1.f},
                  "dlogits");
}

TEST_P(WeightedLossTest, WhereEveryTargetIsIgnoredNothingIsLearned) {
  const OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = 2, .weight = 0.5f});
  const Guarded<float> logits(exec(), {2, 3}, random_values(6, 1)), gradient(exec(), {2, 3}),
      metrics(exec(), {kLossMetrics});
  const Guarded<int32_t> labels(exec(), {2}, {kIgnoredLabel, kIgnoredLabel});
  softmax_cross_entropy(exec(), info.get(), {.ignored_label = kIgnoredLabel}, logits, labels, gradient,
                        metrics);
  divide_by_weights(exec(), metrics, gradient.span());
  EXPECT_THAT(metrics.values(), testing::Each(0.f));
  EXPECT_THAT(gradient.values(), testing::Each(0.f));
  divide_by_weights(exec(), metrics, {});
}

}  // namespace
}  // namespace lockstep::test
