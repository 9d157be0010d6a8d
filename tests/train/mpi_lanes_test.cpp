#include <gtest/gtest.h>

#include "src/train/run_settings.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

TEST(LanesOf, AreTheFewestThatAnyRankHas) {
  World& world = test_world();
  TrainOptions options;
  options.threads = 3 + world.rank();
  EXPECT_EQ(lanes_of(options, Exec{}, world), 3);
  options.threads = 0;
  EXPECT_GE(lanes_of(options, Exec{}, world), 1);
}

}  // namespace
}  // namespace lockstep
