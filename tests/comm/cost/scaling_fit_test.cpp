#include "comm/cost/scaling_fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "src/core/error.h"

namespace lockstep {
namespace {

TEST(FitFactors, FindsPlantedFactors) {
  std::vector<LinearPoint> points;
  for (const double p : {1.0, 2.0, 6.0})
    for (const double q : {1e3, 1e6, 3e8}) points.push_back({p, q, 2e-6 * p + 5e-10 * q});
  const LinearFit fit = fit_factors(points);
  EXPECT_NEAR(fit.first, 2e-6, 1e-15);
  EXPECT_NEAR(fit.second, 5e-10, 1e-19);
}

TEST(FitFactors, IsNeverNegative) {
  // The line through these falls: the best without a negative factor is one factor alone.
  const LinearFit falling = fit_factors(std::vector<LinearPoint>{{1, 1, 4}, {1, 2, 3}, {1, 3, 2}});
  EXPECT_EQ(falling.second, 0);
  EXPECT_GT(falling.first, 2);
  EXPECT_LT(falling.first, 4);
  const LinearFit steep = fit_factors(std::vector<LinearPoint>{{1, 1, 1}, {1, 2, 4}});
  EXPECT_EQ(steep.first, 0);
  EXPECT_GT(steep.second, 1);
  EXPECT_LT(steep.second, 2);
}

TEST(FitFactors, OfTooFewPointsGivesOneFactor) {
  const LinearFit one = fit_factors(std::vector<LinearPoint>{{4, 1, 8}});
  EXPECT_DOUBLE_EQ(one.first, 2);
  EXPECT_EQ(one.second, 0);
  const LinearFit other = fit_factors(std::vector<LinearPoint>{{0, 2, 8}});
  EXPECT_EQ(other.first, 0);
  EXPECT_DOUBLE_EQ(other.second, 4);
  EXPECT_THROW(fit_factors(std::vector<LinearPoint>{{1, 1, 0}}), Error);
}

/// Measurements made by the model itself, on one machine of four cores.
class PlantedScaling : public testing::Test {
 protected:
  PlantedScaling() {
    truth_.fixed_seconds = 1e-3;
    truth_.seconds_per_sample = 1e-4;
    truth_.spread = 0.03;
    truth_.fabric.places_per_node = 4;
    truth_.fabric.inside = {5e-6, 2e-10};
    truth_.bucket_bytes = {1e6, 4e6};
    known_ = truth_;
    known_.fixed_seconds = known_.seconds_per_sample = known_.spread = 0;
    known_.fabric.inside = {};
    for (const int64_t ranks : {1, 2, 4, 8}) {
      for (const double samples : {64.0, 64.0 / static_cast<double>(ranks)}) {
        const StepCost cost = truth_.cost(ranks, samples);
        steps_.push_back({ranks, samples, cost.compute, truth_.spread * cost.compute});
      }
      for (const double bytes : {1e3, 1e6})
        sums_.push_back({ranks, bytes, all_reduce_seconds(AllReduce::tree, truth_.fabric, ranks, bytes)});
    }
  }

  ScalingModel truth_, known_;
  std::vector<MeasuredStep> steps_;
  std::vector<MeasuredAllReduce> sums_;
};

TEST_F(PlantedScaling, IsRecovered) {
  const auto model = fit_scaling(known_, steps_, sums_);
  ASSERT_TRUE(model);
  EXPECT_NEAR(model->fixed_seconds, 1e-3, 1e-12);
  EXPECT_NEAR(model->seconds_per_sample, 1e-4, 1e-13);
  EXPECT_NEAR(model->spread, 0.03, 1e-12);
  EXPECT_NEAR(model->fabric.inside.latency, 5e-6, 1e-14);
  EXPECT_NEAR(model->fabric.inside.seconds_per_byte, 2e-10, 1e-19);
  EXPECT_NEAR(model->cost(4096, 64).seconds, truth_.cost(4096, 64).seconds, 1e-9);
}

TEST_F(PlantedScaling, EveryStepIsPredictedFromTheOthers) {
  // What was measured of the held-out ranks must not flow into their prediction: here it is wrong.
  for (MeasuredStep& step : steps_)
    if (step.ranks == 4) step.compute_seconds *= 2, step.spread_seconds *= 3;
  for (MeasuredAllReduce& sum : sums_)
    if (sum.ranks == 4) sum.seconds *= 2;
  const auto predicted = leave_one_out(known_, steps_, sums_);
  ASSERT_EQ(predicted.size(), steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    ASSERT_TRUE(predicted[i]);
    const double truth = truth_.cost(steps_[i].ranks, steps_[i].samples_per_rank).seconds;
    if (steps_[i].ranks == 4)
      EXPECT_NEAR(*predicted[i], truth, 1e-9);
    else
      EXPECT_GT(std::abs(*predicted[i] - truth), 1e-5);
  }
}

TEST_F(PlantedScaling, OneRankAloneSaysNothingOfOthers) {
  const std::span one_rank = std::span(steps_).first(2), two = std::span(steps_).first(4);
  EXPECT_FALSE(fit_scaling(known_, one_rank, std::span(sums_).first(2)));
  EXPECT_FALSE(fit_scaling(known_, {}, sums_));
  const auto predicted = leave_one_out(known_, two, std::span(sums_).first(4));
  EXPECT_TRUE(predicted[0] && predicted[1]);
  EXPECT_FALSE(predicted[2] || predicted[3]);
}

}  // namespace
}  // namespace lockstep
