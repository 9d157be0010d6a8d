#include "src/train/run/metric_watch.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

Evaluation evaluation(double loss, double accuracy) {
  return {.loss = loss, .metrics = {{"accuracy", accuracy}, {"rmse", accuracy}}};
}

TEST(MetricWatch, WithoutEarlyStoppingTheLeastLossIsTheBestAndTheRunNeverStops) {
  MetricWatch watch(std::nullopt);
  EXPECT_TRUE(watch.update(1, evaluation(1, 0.5)));
  EXPECT_FALSE(watch.update(2, evaluation(2, 0.9)));
  EXPECT_TRUE(watch.update(3, evaluation(0.999, 0.1)));
  for (int64_t epoch = 4; epoch < 1000; ++epoch) EXPECT_FALSE(watch.update(epoch, evaluation(3, 0)));
  EXPECT_FALSE(watch.stops());
}

TEST(MetricWatch, AnAccuracyIsBetterWhenItRises) {
  MetricWatch watch(EarlyStopSpec{.metric = "validation_accuracy", .patience = 5});
  EXPECT_TRUE(watch.update(1, evaluation(1, 0.5)));
  EXPECT_TRUE(watch.update(2, evaluation(2, 0.6)));
  EXPECT_FALSE(watch.update(3, evaluation(0, 0.6)));
}

TEST(MetricWatch, AnyMetricIsWatchedInItsOwnDirection) {
  MetricWatch watch(EarlyStopSpec{.metric = "validation_rmse", .patience = 5});
  EXPECT_TRUE(watch.update(1, evaluation(1, 0.5)));
  EXPECT_FALSE(watch.update(2, evaluation(0, 0.6)));
  EXPECT_TRUE(watch.update(3, evaluation(2, 0.4)));
}

TEST(MetricWatch, ASmallImprovementIsTheBestAndDoesNotKeepTheRunGoing) {
  MetricWatch watch(EarlyStopSpec{.patience = 2, .min_delta = 0.1});
  watch.update(1, evaluation(1, 0));
  EXPECT_TRUE(watch.update(2, evaluation(0.95, 0)));
  EXPECT_FALSE(watch.stops());
  EXPECT_TRUE(watch.update(3, evaluation(0.92, 0)));
  EXPECT_TRUE(watch.stops());
}

TEST(MetricWatch, ContinuesWhereItWasSaved) {
  const EarlyStopSpec spec{.patience = 2, .min_delta = 0.1};
  MetricWatch before(spec);
  before.update(1, evaluation(1, 0));
  before.update(2, evaluation(0.95, 0));
  RunState state;
  before.save(state);
  EXPECT_EQ(state.watched.best_epoch, 1);
  EXPECT_EQ(state.best.best_epoch, 2);

  MetricWatch after(spec);
  after.restore(state);
  EXPECT_FALSE(after.update(3, evaluation(0.96, 0)));
  EXPECT_TRUE(after.stops());
}

}  // namespace
}  // namespace lockstep
