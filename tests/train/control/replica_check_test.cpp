#include "src/train/control/replica_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using ::testing::ElementsAre;

std::vector<int> apart(const std::vector<uint64_t>& values) { return ranks_apart(values); }

TEST(RanksApart, AreThoseOutsideTheMajority) {
  EXPECT_THAT(apart({5, 5, 9, 5}), ElementsAre(2));
  EXPECT_THAT(apart({9, 5, 5}), ElementsAre(0));
  EXPECT_THAT(apart({5, 1, 5, 9, 5}), ElementsAre(1, 3));
  EXPECT_THAT(apart({5, 5, 5}), ElementsAre());
}

TEST(RanksApart, AreAllWithoutAMajority) {
  EXPECT_THAT(apart({5, 9}), ElementsAre(0, 1));
  EXPECT_THAT(apart({5, 5, 9, 9}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(apart({5, 6, 7}), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace lockstep
