#include "src/core/range.h"

#include <gtest/gtest.h>

#include <limits>

namespace lockstep {
namespace {

TEST(Range, ContainsItsClosedBounds) {
  EXPECT_TRUE(kFraction.contains(0));
  EXPECT_FALSE(kFraction.contains(1));
  EXPECT_FALSE(kFraction.contains(-1e-9));
  EXPECT_FALSE(kPositive.contains(0));
  EXPECT_TRUE(kPositive.contains(1e300));
  EXPECT_TRUE(kNotNegative.contains(0));
  EXPECT_FALSE(kNotNegative.contains(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(Range{}.contains(std::numeric_limits<double>::quiet_NaN()));
}

TEST(Range, SaysWhatItContains) {
  EXPECT_EQ(to_string(kFraction), "in [0, 1)");
  EXPECT_EQ(to_string(kPositive), "above 0");
  EXPECT_EQ(to_string(kNotNegative), "at least 0");
  EXPECT_EQ(to_string(Range{.min = 1, .max = 8}), "from 1 to 8");
  EXPECT_EQ(to_string(Range{.min = 0, .max = 1, .min_open = true}), "in (0, 1]");
}

}  // namespace
}  // namespace lockstep
