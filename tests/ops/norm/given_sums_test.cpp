// Batch norm with sums of x and of x^2 that a convolution has left.
#include <gmock/gmock.h>

#include <limits>

#include "src/ops/norm/batch_norm.h"
#include "tests/support/backend.h"

namespace lockstep::test {
namespace {

constexpr float kNormEpsilon = 1e-3f;
/// More rows than the blocks of a GPU add up at once.
constexpr int64_t kSamples = 5, kPositions = 150, kChannels = 24;

class GivenSumsTest : public BackendTest {
 protected:
  struct Results {
    std::vector<float> y, mean, inverse_std, sums;
    bool operator==(const Results&) const = default;
  };

  /// given: empty, or two numbers a channel.
  Results run(const std::vector<float>& x, int valid, const std::vector<float>& given) {
    const Shape shape{kSamples, kPositions, kChannels}, one{kChannels}, both{2, kChannels};
    const auto filled = [&](const Shape& of, float value) {
      return Guarded<float>(exec(), of, std::vector<float>(static_cast<size_t>(of.elements()), value));
    };
    const Guarded<float> input(exec(), shape, x), scale = filled(one, 1.5f), shift = filled(one, 0.25f),
                                                  running = filled(both, 0.5f);
    const Guarded<float> y(exec(), shape), mean(exec(), one), inverse_std(exec(), one), sums(exec(), both);
    const OnBackend info(exec(), MicroBatchInfo{.valid = valid, .weight = 1});
    const Guarded<float> sent = given.empty() ? filled(both, 0) : Guarded<float>(exec(), both, given);
    batch_norm_forward(exec(), info.get(), kNormEpsilon, input, scale, shift, running, y, mean, inverse_std,
                       sums, {.relu = true}, given.empty() ? ConstTensor{} : sent.tensor());
    return {y.values(), mean.values(), inverse_std.values(), sums.values()};
  }

  static std::vector<float> sums_of(const std::vector<float>& x) {
    std::vector<double> sums(2 * kChannels);
    for (size_t i = 0; i < x.size(); ++i) {
      sums[i % kChannels] += x[i];
      sums[kChannels + i % kChannels] += double{x[i]} * x[i];
    }
    return {sums.begin(), sums.end()};
  }
  static std::vector<float> values() { return random_values(kSamples * kPositions * kChannels, 5, -1, 2); }
};
INSTANTIATE_FOR_BACKENDS(GivenSumsTest);

TEST_P(GivenSumsTest, AreTheStatistics) {
  const std::vector<float> x = values();
  const Results plain = run(x, kSamples, {}), given = run(x, kSamples, sums_of(x));
  const auto near = [](const std::vector<float>& expected) {
    return testing::Pointwise(testing::FloatNear(2e-5f), expected);
  };
  EXPECT_THAT(given.y, near(plain.y));
  EXPECT_THAT(given.mean, near(plain.mean));
  EXPECT_THAT(given.inverse_std, near(plain.inverse_std));
  EXPECT_THAT(given.sums, near(plain.sums));
}

TEST_P(GivenSumsTest, AreReadOnCudaInPlaceOfX) {
  const std::vector<float> x = values();
  std::vector<float> others = x;
  for (float& value : others) value *= 2;
  const Results given = run(x, kSamples, sums_of(others)), of_others = run(others, kSamples, {}),
                plain = run(x, kSamples, {});
  EXPECT_THAT(given.mean,
              testing::Pointwise(testing::FloatNear(2e-5f), (exec().on_cuda() ? of_others : plain).mean));
}

TEST_P(GivenSumsTest, AreNotTrustedWithPadding) {
  const std::vector<float> x = values();
  std::vector<float> wrong = sums_of(x);
  for (float& sum : wrong) sum *= 2;
  EXPECT_EQ(run(x, 3, wrong), run(x, 3, {}));
  EXPECT_EQ(run(x, 0, wrong), run(x, 0, {}));
}

TEST_P(GivenSumsTest, AreNotTrustedWhereTheyWouldCostDigits) {
  // Next to each other, as a thread of a GPU takes several channels: a mean of more than kMaxMeanOfSums
  // spreads, one value for all, and sums that are not finite.
  constexpr size_t kFar = 3, kConstant = 9, kNotFinite = 10, kJustFarEnough = 17;
  std::vector<float> x = values();
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t channel = i % kChannels;
    if (channel == kFar) x[i] = x[i] * 1e-3f + 5;
    if (channel == kConstant) x[i] = 3.3f;
    if (channel == kJustFarEnough) x[i] += 2.5f;  // 3 / 0.87
  }
  std::vector<float> given = sums_of(x);
  given[kChannels + kNotFinite] = std::numeric_limits<float>::quiet_NaN();
  given[kFar] *= 1.0001f;
  given[kJustFarEnough] *= 1.0001f;
  const Results found = run(x, kSamples, given), plain = run(x, kSamples, {});
  for (const size_t channel : {kFar, kConstant, kNotFinite}) {
    EXPECT_EQ(found.mean[channel], plain.mean[channel]) << channel;
    EXPECT_EQ(found.inverse_std[channel], plain.inverse_std[channel]) << channel;
  }
  EXPECT_EQ(found.mean[kJustFarEnough] == plain.mean[kJustFarEnough], !exec().on_cuda());
  EXPECT_NEAR(found.inverse_std[kJustFarEnough], plain.inverse_std[kJustFarEnough], 5e-3f);
}

}  // namespace
}  // namespace lockstep::test
