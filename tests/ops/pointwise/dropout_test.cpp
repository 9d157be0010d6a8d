#include "src/ops/pointwise/dropout.h"

#include <gmock/gmock.h>

#include <set>

#include "tests/support/backend.h"
#include "tests/support/compare.h"

namespace lockstep::test {
namespace {

class DropoutTest : public BackendTest {};
INSTANTIATE_FOR_BACKENDS(DropoutTest);

std::vector<float> run_dropout(Exec exec, const DropoutSpec& spec, int64_t step,
                               const std::vector<int64_t>& samples, int64_t width,
                               const std::vector<float>& x) {
  const auto rows = static_cast<int64_t>(samples.size());
  const OnBackend<MicroBatchInfo> info(exec,
                                       {.step = step, .valid = static_cast<int32_t>(rows), .weight = 1});
  const Guarded<int64_t> index(exec, {rows}, samples);
  const Guarded<float> in(exec, {rows, width}, x), y(exec, {rows, width});
  dropout(exec, info.get(), spec, index, in, y);
  return y.values();
}

std::vector<float> ones(size_t count) { return std::vector<float>(count, 1.f); }

TEST_P(DropoutTest, MaskIsTheDocumentedFunctionOfSeedLayerStepSampleAndElement) {
  const DropoutSpec spec{.rate = 0.3f, .seed = 0x123456789abcdefull, .layer = 0xfedcba9876543210ull};
  const std::vector<int64_t> samples = {0, 5, int64_t{1} << 40};
  for (const int64_t width : {1, 3, 4, 65, 130}) {
    SCOPED_TRACE(width);
    const auto x = random_values(3 * width, 1);
    Doubles expected;
    for (size_t row = 0; row < 3; ++row)
      for (int64_t e = 0; e < width; ++e) {
        const Random4 words = philox(spec.seed ^ spec.layer, static_cast<uint64_t>(samples[row]),
                                     (uint64_t{9} << 32) + static_cast<uint64_t>(e / 4));
        const bool zero = uniform(words.word[e % 4]) < spec.rate;
        expected.push_back(zero ? 0
                                : x[row * static_cast<size_t>(width) + static_cast<size_t>(e)] /
                                      (1 - double{spec.rate}));
      }
    expect_close(run_dropout(exec(), spec, 9, samples, width, x), expected, kRounding, "y");
  }
}

TEST_P(DropoutTest, ZeroesTheAskedForShareAndKeepsTheMean) {
  for (const float rate : {0.1f, 0.5f, 0.9f}) {
    constexpr size_t kCount = 40000;
    const auto y = run_dropout(exec(), {.rate = rate, .seed = 1, .layer = 2}, 0, {7}, kCount, ones(kCount));
    const auto zeros = static_cast<double>(std::count(y.begin(), y.end(), 0.f));
    const double deviation = std::sqrt(kCount * rate * (1 - rate));
    EXPECT_NEAR(zeros, kCount * rate, 5 * deviation);
    double sum = 0;
    for (const float value : y) sum += value;
    EXPECT_NEAR(sum / kCount, 1, 5 * deviation / kCount / (1 - rate));
  }
}

TEST_P(DropoutTest, ASampleHasTheSameMaskAtAnyRowOfAnyBatch) {
  const DropoutSpec spec{.seed = 3, .layer = 4};
  const auto alone = run_dropout(exec(), spec, 11, {42}, 33, ones(33));
  const auto last = run_dropout(exec(), spec, 11, {8, 9, 42}, 33, ones(99));
  EXPECT_TRUE(std::equal(alone.begin(), alone.end(), last.begin() + 66));
}

TEST_P(DropoutTest, SeedLayerStepAndSampleEachChangeTheMask) {
  const auto mask = [&](uint64_t seed, uint64_t layer, int64_t step, int64_t sample) {
    return run_dropout(exec(), {.seed = seed, .layer = layer}, step, {sample}, 64, ones(64));
  };
  const std::set<std::vector<float>> masks = {mask(1, 0, 0, 0), mask(0, 2, 0, 0), mask(0, 0, 1, 0),
                                              mask(0, 0, 0, 1), mask(0, 0, 0, 0)};
  EXPECT_EQ(masks.size(), 5u);
}

TEST_P(DropoutTest, BackwardHasTheMaskOfForward) {
  const DropoutSpec spec{.rate = 0.4f, .seed = 5, .layer = 6};
  const auto y = run_dropout(exec(), spec, 2, {1, 2, 3}, 21, ones(63));
  const auto dy = random_values(63, 1, 0.5f, 1);
  const auto dx = run_dropout(exec(), spec, 2, {1, 2, 3}, 21, dy);
  Doubles expected;
  for (size_t i = 0; i < dy.size(); ++i) expected.push_back(double{dy[i]} * y[i]);
  expect_close(dx, expected, kRounding, "dx");
}

TEST_P(DropoutTest, RateZeroIsTheIdentityAndInPlaceWorks) {
  const auto x = random_values(50, 1);
  EXPECT_EQ(run_dropout(exec(), {.rate = 0}, 0, {1, 2}, 25, x), x);
  const OnBackend<MicroBatchInfo> info(exec(), {.step = 0, .valid = 2, .weight = 1});
  const Guarded<int64_t> index(exec(), {2}, {1, 2});
  const Guarded<float> both(exec(), {2, 25}, x);
  dropout(exec(), info.get(), {}, index, both, both);
  EXPECT_EQ(both.values(), run_dropout(exec(), {}, 0, {1, 2}, 25, x));
}

TEST_P(DropoutTest, AcceptsAnEmptyBatchAndRefusesARateOfOne) {
  EXPECT_TRUE(run_dropout(exec(), {}, 0, {}, 5, {}).empty());
  EXPECT_THROW(run_dropout(exec(), {.rate = 1}, 0, {1}, 1, {1}), Error);
}

}  // namespace
}  // namespace lockstep::test
