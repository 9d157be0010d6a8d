#include "src/train/control/stop_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using std::chrono::steady_clock;

steady_clock::time_point in_seconds(double seconds) {
  return steady_clock::now() +
         std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(seconds));
}

TEST(SecondsToStop, CountTheStepsUnderWayAndASlowCheckpoint) {
  EXPECT_DOUBLE_EQ(seconds_to_stop({}), 5);
  EXPECT_DOUBLE_EQ(seconds_to_stop({.step = 2}), 5 + 3 * 2);
  EXPECT_DOUBLE_EQ(seconds_to_stop({.step = 2, .checkpoint = 40}), 5 + 3 * 2 + 2 * 40);
}

TEST(StopRequest, WithoutConditionsARunGoesOn) { EXPECT_EQ(StopRequest({}, 1e9).reason(), ""); }

TEST(StopRequest, SaysWhyItWasAsked) {
  std::string why;
  const StopRequest request({.asked = [&] { return why; }}, 0);
  EXPECT_EQ(request.reason(), "");
  why = "SIGTERM";
  EXPECT_EQ(request.reason(), "SIGTERM");
}

TEST(StopRequest, TimeIsUpWhenStoppingTakesWhatIsLeft) {
  // Hours are too long for this test's own time to matter.
  StopRequest request({.ends_at = in_seconds(10000)}, 0);
  EXPECT_EQ(request.reason(), "");
  request.step_took(3000);
  EXPECT_EQ(request.reason(), "") << "9005 of 10000 seconds";
  request.checkpoint_took(2000);
  EXPECT_THAT(request.reason(), testing::StartsWith("the time is up at "));
}

TEST(StopRequest, ASlowStepIsForgottenSlowlyAndASlowCheckpointNot) {
  StopRequest request({.ends_at = in_seconds(10000)}, /*first_checkpoint=*/6000);
  EXPECT_NE(request.reason(), "") << "no checkpoint was made, so the estimate counts";
  request.checkpoint_took(10);
  EXPECT_EQ(request.reason(), "");
  request.step_took(4000);
  EXPECT_NE(request.reason(), "");
  for (int step = 0; step < 10; ++step) request.step_took(1);
  EXPECT_NE(request.reason(), "");
  for (int step = 0; step < 90; ++step) request.step_took(1);
  EXPECT_EQ(request.reason(), "");
  request.checkpoint_took(5000);
  request.checkpoint_took(10);
  EXPECT_NE(request.reason(), "");
}

TEST(StopRequest, AnEndInThePastIsUp) { EXPECT_NE(StopRequest({.ends_at = in_seconds(-1)}, 0).reason(), ""); }

}  // namespace
}  // namespace lockstep
