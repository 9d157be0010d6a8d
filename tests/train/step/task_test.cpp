#include "src/train/step/task.h"

#include <gtest/gtest.h>

#include "tests/support/backend.h"
#include "tests/support/compare.h"

namespace lockstep {
namespace {

class TaskTest : public test::BackendTest {};
INSTANTIATE_FOR_BACKENDS(TaskTest);

/// The network's input for samples of one number each.
template <typename T>
std::vector<float> normalized(Exec exec, const Normalize& normalize, const std::vector<T>& x) {
  TrainOptions options;
  options.data.normalize = normalize;
  const Task task(exec, options, {{1}, dtype_of<T>(), TargetKind::classes, {}, 2});
  const auto rows = static_cast<int64_t>(x.size());
  const test::Guarded<T> raw(exec, {rows, 1}, x);
  const test::Guarded<float> input(exec, {rows, 1});
  task.preprocess(raw, input);
  return input.values();
}

Normalize moments(double mean, double std) { return {Normalize::Kind::moments, {mean}, {std}}; }

TEST_P(TaskTest, ALargeMeanIsSubtractedBeforeDigitsAreLost) {
  const test::Doubles expected = {-1.25, 0, 0.001, 2.5};
  for (const double mean : {1e6, 1234567.891, -1.7e9, 0.1})
    for (const double std : {1.0, 0.37}) {
      SCOPED_TRACE(fmt::format("mean {}, std {}", mean, std));
      std::vector<double> x;
      for (const double value : expected) x.push_back(mean + std * value);
      // What a double of this size can hold.
      const test::Tolerance tolerance{1e-7 + std::abs(mean) / std * 0x1p-52, 5e-7, "a few roundings"};
      test::expect_close(normalized(exec(), moments(mean, std), x), expected, tolerance, "input");
    }
}

TEST_P(TaskTest, FloatsKeepTheDigitsThatTheyHold) {
  // All of them, and the mean, are exact in float.
  const std::vector<float> x = {8e6f - 3, 8e6f, 8e6f + 1};
  test::expect_close(normalized(exec(), moments(8e6, 3), x), {-1, 0, 1. / 3}, test::kRounding, "input");
  test::expect_close(normalized(exec(), moments(8e6 + 0.25, 3), x), {-3.25 / 3, -0.25 / 3, 0.75 / 3},
                     test::kRounding, "input");
}

TEST_P(TaskTest, EvaluationReportsTheLossWithoutLabelSmoothing) {
  const std::vector<float> logits = {2, -1, 0.5f, 0, 1, -2};
  const std::vector<int32_t> labels = {0, 1};
  const auto loss = [&](double smoothing, bool training) {
    TrainOptions options;
    options.train.label_smoothing = smoothing;
    const Task task(exec(), options, {{1}, DType::f32, TargetKind::classes, {}, 3});
    const test::OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = 2, .weight = 0.5f});
    const test::Guarded<float> output(exec(), {2, 3}, logits), gradient(exec(), {2, 3}),
        metrics(exec(), {kLossMetrics});
    const test::Guarded<int32_t> target(exec(), {2}, labels);
    task.objective().loss(info.get(), output, target, training ? gradient.tensor() : Tensor{}, metrics);
    return metrics.values()[0];
  };
  EXPECT_EQ(loss(0.1, false), loss(0, false));
  EXPECT_EQ(loss(0.1, false), loss(0, true));
  EXPECT_GT(loss(0.1, true), loss(0, true) + 0.05f) << "training minimizes the smoothed loss";
}

}  // namespace
}  // namespace lockstep
