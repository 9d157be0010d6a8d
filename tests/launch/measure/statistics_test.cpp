#include "launch/measure/statistics.h"

#include <gtest/gtest.h>

#include <vector>

#include "src/core/error.h"

namespace lockstep {
namespace {

TEST(Statistics, MedianAndEndsOfAnyNumberOfValues) {
  const Spread odd = spread_of(std::vector<double>{3, -1, 7});
  EXPECT_EQ(odd.median, 3);
  EXPECT_EQ(odd.min, -1);
  EXPECT_EQ(odd.max, 7);
  EXPECT_EQ(spread_of(std::vector<double>{4, 1, 2, 9}).median, 3);
  EXPECT_EQ(spread_of(std::vector<double>{5}).median, 5);
  EXPECT_THROW(spread_of({}), Error);
}

}  // namespace
}  // namespace lockstep
