#include "comm/collectives/first_of_machine.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

// The tests run on one machine.
TEST(FirstOfMachine, IsOneOfItsRanksHoweverOftenEachTries) {
  World& world = test_world();
  constexpr int kRounds = 20;
  double firsts = 0;
  for (int round = 0; round < kRounds; ++round) {
    FirstOfMachine first(world);
    for (int call = 0; call < 2; ++call) firsts += first.claim() ? 1 : 0;
  }
  std::vector<double> sum = {firsts};
  world.sum(sum);
  EXPECT_EQ(sum[0], kRounds);
}

}  // namespace
}  // namespace lockstep
