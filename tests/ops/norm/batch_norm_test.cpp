#include "src/ops/norm/batch_norm.h"

#include <gmock/gmock.h>

#include "tests/support/backend.h"
#include "tests/support/oracles.h"

namespace lockstep::test {
namespace {

constexpr float kEpsilon = 1e-3f;
constexpr float kRunningVariance = 0.7f;

class BatchNormTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(BatchNormTest);

struct Result {
  std::vector<float> y, mean, inverse_std, sums, dx, dscale, dshift;
};

Result run_batch_norm(Exec exec, const Shape& shape, int32_t valid, const std::vector<float>& x,
                      const std::vector<float>& scale, const std::vector<float>& shift,
                      const std::vector<float>& dy, bool in_place = false) {
  const int64_t channels = shape[-1];
  const OnBackend<MicroBatchInfo> info(exec, {.step = 3, .valid = valid, .weight = 0.25f});
  const Guarded<float> in_x(exec, shape, x), in_dy(exec, shape, dy), y(exec, shape), dx(exec, shape);
  const Guarded<float> in_scale(exec, {channels}, scale), in_shift(exec, {channels}, shift);
  const Guarded<float> mean(exec, {channels}), inverse_std(exec, {channels}), sums(exec, {2, channels});
  const Guarded<float> dscale(exec, {channels}), dshift(exec, {channels});
  const Guarded<float> running(exec, {2, channels},
                               std::vector<float>(static_cast<size_t>(2 * channels), kRunningVariance));
  batch_norm_forward(exec, info.get(), kEpsilon, in_x, in_scale, in_shift, running, y, mean, inverse_std,
                     sums);
  const Guarded<float>& out = in_place ? in_dy : dx;
  batch_norm_backward(exec, info.get(), in_x, in_scale, mean, inverse_std, in_dy, out, dscale, dshift);
  return {y.values(),   mean.values(),   inverse_std.values(), sums.values(),
          out.values(), dscale.values(), dshift.values()};
}

struct Case {
  Shape shape;
  int32_t valid;
};

TEST_P(BatchNormTest, ForwardStatisticsAndGradientsMatchTheOracle) {
  for (const Case& test : {Case{{4, 3, 2, 5}, 4}, Case{{4, 3, 2, 5}, 3}, Case{{6, 1}, 6}, Case{{7, 70}, 5},
                           Case{{2, 1, 1, 3}, 1}, Case{{5, 4, 3}, 1}}) {
    SCOPED_TRACE(fmt::format("{} with {} valid", to_string(test.shape), test.valid));
    const int64_t channels = test.shape[-1], per_sample = test.shape.sample().elements() / channels;
    const int64_t rows = test.valid * per_sample;
    const auto real = [&](const auto& all) {
      return std::remove_cvref_t<decltype(all)>(all.begin(), all.begin() + rows * channels);
    };
    const auto padding = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + rows * channels, all.end());
    };
    const auto x = random_values(test.shape.elements(), 1, -1, 3),
               dy = random_values(test.shape.elements(), 2);
    const auto scale = random_values(channels, 3, 0.5f, 2), shift = random_values(channels, 4);
    const Result run = run_batch_norm(exec(), test.shape, test.valid, x, scale, shift, dy);

    const auto normalize = [&](const Doubles& at_x, const Doubles& at_scale, const Doubles& at_shift) {
      return oracle::batch_norm(rows, channels, kEpsilon, at_x, at_scale, at_shift);
    };
    const Doubles s = to_double(scale), t = to_double(shift), in = to_double(real(x));
    const oracle::BatchNorm expected = normalize(in, s, t);
    expect_close(real(run.y), expected.y, kNormalized, "y");
    EXPECT_THAT(padding(run.y), testing::Each(0.f));
    Doubles inverse_std, sums;
    for (const double variance : expected.biased_variance)
      inverse_std.push_back(1 / std::sqrt(variance + kEpsilon));
    for (const double mean : expected.mean) sums.push_back(test.valid * mean);
    for (const double variance : expected.unbiased_variance)
      sums.push_back(test.valid * (rows == 1 ? kRunningVariance : variance));
    expect_close(run.mean, expected.mean, kSum, "saved_mean");
    expect_close(run.inverse_std, inverse_std, kNormalized, "saved_inverse_std");
    expect_close(run.sums, sums, kSum, "sums");

    expect_gradient(
        real(run.dx), [&](const Doubles& at) { return normalize(at, s, t).y; }, real(x), real(dy), "dx",
        kNormalized);
    EXPECT_THAT(padding(run.dx), testing::Each(0.f));
    expect_gradient(
        run.dscale, [&](const Doubles& at) { return normalize(in, at, t).y; }, scale, real(dy), "dscale",
        kNormalized);
    expect_gradient(
        run.dshift, [&](const Doubles& at) { return normalize(in, s, at).y; }, shift, real(dy), "dshift");
    EXPECT_EQ(run_batch_norm(exec(), test.shape, test.valid, x, scale, shift, dy, true).dx, run.dx)
        << "in place";
  }
}

TEST_P(BatchNormTest, AMicroBatchOfPaddingGivesZerosAndNeverNaN) {
  for (const Shape& shape : {Shape{3, 2, 2, 4}, Shape{0, 2, 2, 4}}) {
    const auto x = random_values(shape.elements(), 1), ones = std::vector<float>(4, 1.f);
    const Result run = run_batch_norm(exec(), shape, 0, x, ones, ones, x);
    for (const auto* values : {&run.y, &run.sums, &run.dx, &run.dscale, &run.dshift})
      EXPECT_THAT(*values, testing::Each(0.f));
    for (const auto* values : {&run.mean, &run.inverse_std})
      for (const float value : *values) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST_P(BatchNormTest, GarbageInThePaddingDoesNotMatter) {
  const Shape shape{3, 2, 2, 4};
  const auto scale = random_values(4, 3), shift = random_values(4, 4);
  auto x = random_values(48, 1), dy = random_values(48, 2);
  const Result clean = run_batch_norm(exec(), shape, 2, x, scale, shift, dy);
  std::fill(x.begin() + 32, x.end(), std::numeric_limits<float>::quiet_NaN());
  std::fill(dy.begin() + 32, dy.end(), std::numeric_limits<float>::infinity());
  const Result dirty = run_batch_norm(exec(), shape, 2, x, scale, shift, dy);
  EXPECT_EQ(clean.y, dirty.y);
  EXPECT_EQ(clean.dx, dirty.dx);
  EXPECT_EQ(clean.dscale, dirty.dscale);
  EXPECT_EQ(clean.sums, dirty.sums);
}

TEST_P(BatchNormTest, ALargeMeanDoesNotDrownTheVariance) {
  auto x = random_values(1000, 1);
  for (float& value : x) value = 1000 + std::round(value * 8) / 8;  // exact in float
  const Result run = run_batch_norm(exec(), {1000, 1}, 1000, x, {1}, {0}, x);
  const oracle::BatchNorm expected = oracle::batch_norm(1000, 1, kEpsilon, to_double(x), {1}, {0});
  EXPECT_NEAR(run.sums[1] / 1000, expected.unbiased_variance[0], 1e-4 * expected.unbiased_variance[0]);
}

// A mean of 1000 spreads, which a sum of x itself, or x * factor + offset, does not survive.
TEST_P(BatchNormTest, ALargeMeanCostsNoDigits) {
  constexpr int64_t rows = 2000;
  auto x = random_values(2 * rows, 1);
  for (size_t i = 0; i < x.size(); ++i) x[i] = (i % 2 == 0 ? 1000.f : -3000.f) + std::round(x[i] * 512) / 512;
  const auto scale = random_values(2, 3, 0.5f, 2), shift = random_values(2, 4);
  const Result run = run_batch_norm(exec(), {rows, 2}, rows, x, scale, shift, x);
  const oracle::BatchNorm expected =
      oracle::batch_norm(rows, 2, kEpsilon, to_double(x), to_double(scale), to_double(shift));
  expect_close(run.sums,
               {rows * expected.mean[0], rows * expected.mean[1], rows * expected.unbiased_variance[0],
                rows * expected.unbiased_variance[1]},
               {0, 2e-7, "two roundings to float"}, "sums");
  // The saved mean is a float: half a unit in the last place of 3000, in standard deviations.
  expect_close(run.y, expected.y, {5e-4, 1e-6, "the saved mean is rounded"}, "y");

  const Doubles running = {1000, -3000, 0.25, 0.5};
  const Guarded<float> in(exec(), {rows, 2}, x), y(exec(), {rows, 2});
  const Guarded<float> in_scale(exec(), {2}, scale), in_shift(exec(), {2}, shift);
  const Guarded<float> mean(exec(), {2}, {1000, -3000}), variance(exec(), {2}, {0.25f, 0.5f});
  batch_norm_inference(exec(), kEpsilon, in, in_scale, in_shift, mean, variance, y);
  Doubles inferred;
  for (size_t i = 0; i < x.size(); ++i)
    inferred.push_back((double{x[i]} - running[i % 2]) / std::sqrt(double{running[2 + i % 2]} + kEpsilon) *
                           scale[i % 2] +
                       shift[i % 2]);
  expect_close(y.values(), inferred, {1e-6, 1e-6, "a few roundings of numbers of size 1"}, "inference");
}

TEST_P(BatchNormTest, ManyRowsAreAddedWithoutLosingDigits) {
  constexpr int64_t rows = 100000;
  auto x = random_values(rows, 1, 0, 1);
  const Result run = run_batch_norm(exec(), {rows, 1}, rows, x, {1}, {0}, x);
  const oracle::BatchNorm expected = oracle::batch_norm(rows, 1, kEpsilon, to_double(x), {1}, {0});
  expect_close(run.sums, {rows * expected.mean[0], rows * expected.unbiased_variance[0]},
               {0, 2e-7, "two roundings to float"}, "sums");
  double dshift = 0;
  for (const float value : x) dshift += value;
  expect_close(run.dshift, {dshift}, {0, 3e-7, "blocks are added in float, their sums in double"}, "dshift");
}

TEST_P(BatchNormTest, InferenceUsesTheRunningStatistics) {
  const auto x = random_values(60, 1), scale = random_values(5, 2), shift = random_values(5, 3);
  const auto mean = random_values(5, 4), variance = random_values(5, 5, 0.1f, 2);
  Doubles expected;
  for (size_t i = 0; i < 60; ++i) {
    const size_t c = i % 5;
    expected.push_back((double{x[i]} - mean[c]) / std::sqrt(double{variance[c]} + kEpsilon) * scale[c] +
                       shift[c]);
  }
  const Guarded<float> in(exec(), {3, 2, 2, 5}, x), y(exec(), {3, 2, 2, 5});
  const Guarded<float> in_scale(exec(), {5}, scale), in_shift(exec(), {5}, shift);
  const Guarded<float> in_mean(exec(), {5}, mean), in_variance(exec(), {5}, variance);
  batch_norm_inference(exec(), kEpsilon, in, in_scale, in_shift, in_mean, in_variance, y);
  expect_close(y.values(), expected, kNormalized, "y");
  batch_norm_inference(exec(), kEpsilon, in, in_scale, in_shift, in_mean, in_variance, in);
  EXPECT_EQ(in.values(), y.values());
}

TEST_P(BatchNormTest, RunningStatisticsMoveTowardsTheMeanOfTheGlobalBatch) {
  constexpr int64_t count = 2000;  // more than one round of a kernel
  const auto sums = random_values(count, 1, 0, 8), old = random_values(count, 2, 0, 1);
  Doubles expected;
  for (size_t i = 0; i < old.size(); ++i) expected.push_back(0.9 * old[i] + 0.1 * sums[i] / 8);
  const OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = 2, .weight = 0.125f});
  const Guarded<float> in(exec(), {2, count / 2}, sums), running(exec(), {2, count / 2}, old);
  batch_norm_running_update(exec(), info.get(), 0.1f, in, running);
  expect_close(running.values(), expected, kRounding, "running");
}

}  // namespace
}  // namespace lockstep::test
