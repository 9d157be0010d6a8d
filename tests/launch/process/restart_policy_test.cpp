#include "launch/process/restart_policy.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr int kLost = 4;

TEST(RestartPolicy, OnlyALostRankIsWorthAnotherTry) {
  for (const int code : {0, 1, 2, 3, 5, 6, 70, 75, 130}) {
    EXPECT_FALSE(lost_a_rank(code)) << code;
    EXPECT_FALSE(RestartPolicy({}).after(code, true)) << code;
  }
  for (const int code : {4, 134, 137, 139}) {
    EXPECT_TRUE(lost_a_rank(code)) << code;
    EXPECT_TRUE(RestartPolicy({}).after(code, false)) << code;
  }
}

TEST(RestartPolicy, WaitsTwiceAsLongEachTimeAndGivesUp) {
  RestartPolicy policy({.max_in_a_row = 3, .first_wait = 20, .max_wait = 60});
  EXPECT_EQ(policy.after(kLost, false), 20);
  EXPECT_EQ(policy.after(kLost, false), 40);
  EXPECT_EQ(policy.after(kLost, false), 60);
  EXPECT_FALSE(policy.after(kLost, false));
  EXPECT_EQ(policy.in_a_row(), 3);
}

TEST(RestartPolicy, ANewCheckpointCountsFromTheBeginning) {
  RestartPolicy policy({.max_in_a_row = 1, .first_wait = 2});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(policy.after(kLost, true), 2);
  EXPECT_FALSE(policy.after(kLost, false));
}

TEST(RestartPolicy, NoRestartsCanBeAskedFor) {
  EXPECT_FALSE(RestartPolicy({.max_in_a_row = 0}).after(kLost, true));
}

}  // namespace
}  // namespace lockstep
