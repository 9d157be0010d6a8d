#include "src/optim/early_stop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "src/core/error.h"

namespace lockstep {
namespace {

/// The epoch at which it says stop, or -1.
int64_t stops_at(EarlyStop stop, const std::vector<double>& values) {
  for (size_t epoch = 0; epoch < values.size(); ++epoch)
    if (stop.update(static_cast<int64_t>(epoch), values[epoch])) return static_cast<int64_t>(epoch);
  return -1;
}

TEST(EarlyStop, StopsAfterPatienceEpochsWithoutImprovement) {
  EXPECT_EQ(stops_at(EarlyStop({"validation_loss", 2, 0}, Better::lower), {3, 2, 2, 1, 1, 1.5, 0}), 5);
  EXPECT_EQ(stops_at(EarlyStop({"validation_loss", 1, 0}, Better::lower), {3, 3}), 1);
  EXPECT_EQ(stops_at(EarlyStop({"validation_loss", 2, 0}, Better::lower), {3, 2, 2, 1, 1}), -1);
  EXPECT_EQ(
      stops_at(EarlyStop({"validation_accuracy", 2, 0}, Better::higher), {0.5, 0.6, 0.6, 0.7, 0.6, 0.6}), 5);
}

TEST(EarlyStop, ASmallerChangeThanMinDeltaIsNoImprovement) {
  EXPECT_EQ(stops_at(EarlyStop({"validation_loss", 2, 0.25}, Better::lower), {1, 0.875, 0.75}), 2);
  EXPECT_EQ(stops_at(EarlyStop({"validation_loss", 2, 0.25}, Better::lower), {1, 0.875, 0.625}), -1);
}

TEST(EarlyStop, ANotANumberIsNoImprovement) {
  const double nan = std::nan("");
  EXPECT_EQ(stops_at(EarlyStop({"validation_loss", 2, 0}, Better::lower), {nan, nan}), 1);
  EXPECT_EQ(stops_at(EarlyStop({"validation_loss", 2, 0}, Better::lower), {nan, 1, nan, nan}), 3);
}

TEST(EarlyStop, RemembersTheBestAndContinuesFromItsState) {
  EarlyStop stop({"validation_accuracy", 3, 0}, Better::higher);
  EXPECT_FALSE(stop.improved());
  EXPECT_FALSE(stop.update(0, 0.9));
  EXPECT_TRUE(stop.improved());
  EXPECT_FALSE(stop.update(1, 0.8));
  EXPECT_FALSE(stop.improved());
  EXPECT_EQ(stop.state().best, 0.9);
  EXPECT_EQ(stop.state().best_epoch, 0);
  EarlyStop resumed({"validation_accuracy", 3, 0}, Better::higher);
  resumed.restore(stop.state());
  EXPECT_FALSE(resumed.update(2, 0.7));
  EXPECT_TRUE(resumed.update(3, 0.9));
  EarlyStop stopped({"validation_accuracy", 3, 0}, Better::higher);
  EXPECT_FALSE(stopped.stops());
  stopped.restore(resumed.state());
  EXPECT_TRUE(stopped.stops());
}

TEST(EarlyStop, SaysWhichKeyIsWrong) {
  const auto error_of = [](const EarlyStopSpec& spec) -> std::string {
    try {
      EarlyStop stop(spec, Better::lower);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of({"validation_loss", 0, 0}), testing::HasSubstr("train.early_stop.patience = 0"));
  EXPECT_THAT(error_of({"validation_loss", 1, -1}), testing::HasSubstr("train.early_stop.min_delta = -1"));
}

}  // namespace
}  // namespace lockstep
