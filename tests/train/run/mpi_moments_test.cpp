#include "src/train/run/moments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "io/statistics/data_statistics.h"
#include "src/core/rng.h"
#include "tests/support/compare.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

/// Samples of doubles in memory.
class Samples final : public Dataset {
 public:
  Samples(const Shape& shape, std::vector<double> values) : shape_(shape), values_(std::move(values)) {}

  int64_t size() const override { return static_cast<int64_t>(values_.size()) / shape_.elements(); }
  const Shape& x_shape() const override { return shape_; }
  DType x_dtype() const override { return DType::f64; }
  TargetKind target_kind() const override { return TargetKind::none; }
  const Shape& y_shape() const override { return none_; }
  int64_t classes() const override { return 0; }
  void read(std::span<const int64_t> indices, std::byte* x, std::byte*) const override {
    const auto bytes = static_cast<size_t>(shape_.elements()) * sizeof(double);
    for (size_t i = 0; i < indices.size(); ++i)
      std::memcpy(x + i * bytes, values_.data() + indices[i] * shape_.elements(), bytes);
  }
  uint64_t fingerprint() const override { return 1; }
  bool in_memory() const override { return true; }
  std::string describe() const override { return "samples in memory"; }

 private:
  Shape shape_, none_;
  std::vector<double> values_;
};

/// Values of three channels: small, far from 0, constant.
std::vector<double> values_of(int64_t samples, int64_t positions, bool channels_first) {
  RandomStream random(3, 4);
  std::vector<double> values(static_cast<size_t>(samples * positions * 3));
  for (int64_t i = 0; i < samples * positions; ++i) {
    const double of_channel[] = {random.next_normal(), 1e9 + 0.25 * random.next_normal(), 7.5};
    for (int64_t c = 0; c < 3; ++c) {
      const int64_t sample = i / positions, position = i % positions;
      const int64_t at = channels_first ? (sample * 3 + c) * positions + position : i * 3 + c;
      values[static_cast<size_t>(at)] = of_channel[c];
    }
  }
  return values;
}

TEST(MpiMoments, AreThoseOfTheDefinitionOnAnyNumberOfRanks) {
  const std::vector<double> values = values_of(700, 5, false);
  std::vector<double> mean(3), variance(3);
  for (size_t i = 0; i < values.size(); ++i) mean[i % 3] += values[i] / (700 * 5);
  for (size_t i = 0; i < values.size(); ++i)
    variance[i % 3] += (values[i] - mean[i % 3]) * (values[i] - mean[i % 3]) / (700 * 5);
  const Moments moments = measure_moments(test_world(), Samples({5, 3}, values), false);
  for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(moments.mean[c], mean[c], 1e-13 * std::abs(mean[c]) + 1e-12);
  EXPECT_NEAR(moments.std[0], std::sqrt(variance[0]), 1e-12);
  // Values near 1e9 are known to 1e-7.
  EXPECT_NEAR(moments.std[1], std::sqrt(variance[1]), 1e-6);
  EXPECT_EQ(moments.mean[2], 7.5);
  EXPECT_EQ(moments.std[2], 0) << "a channel that does not vary";
}

TEST(MpiMoments, ChannelsMayComeFirst) {
  const Moments last = measure_moments(test_world(), Samples({6, 3}, values_of(50, 6, false)), false);
  const Moments first = measure_moments(test_world(), Samples({3, 6}, values_of(50, 6, true)), true);
  EXPECT_EQ(first.mean, last.mean);
  EXPECT_EQ(first.std, last.std);
}

TEST(MpiMoments, HaveTheBitsThatStatisticsPrint) {
  const Samples samples({5, 3}, values_of(700, 5, false));
  const Moments moments = measure_moments(test_world(), samples, false);
  const DataStatistics statistics = measure_statistics(samples, {.threads = 3});
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(statistics.x.moments.mean(c), moments.mean[c]);
    EXPECT_EQ(statistics.x.moments.deviation(c), moments.std[c]);
  }
}

TEST(MpiMoments, OfOneSampleAreItsOwn) {
  const Moments moments = measure_moments(test_world(), Samples({3}, {1, -2, 3}), false);
  EXPECT_THAT(moments.mean, testing::ElementsAre(1, -2, 3));
  EXPECT_THAT(moments.std, testing::ElementsAre(0, 0, 0));
}

}  // namespace
}  // namespace lockstep
