#include <gtest/gtest.h>

#include "comm/cost/measure_link.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

class MeasureSums : public MpiBackendTest {};
INSTANTIATE_FOR_BACKENDS(MeasureSums);

TEST_P(MeasureSums, IsPossibleAndTheSameOnEveryRank) {
  if (world.size() == 1) GTEST_SKIP() << "one rank";
  const auto communicator = make_communicator(world, exec(), {});
  const Link link = measure_all_reduce(world, exec(), *communicator);
  EXPECT_GT(link.latency, 1e-8);
  EXPECT_LT(link.latency, 10);
  EXPECT_GE(link.seconds_per_byte, 0);
  std::vector<double> most = {link.latency, link.seconds_per_byte};
  world.max(most);
  EXPECT_EQ(link.latency, most[0]);
  EXPECT_EQ(link.seconds_per_byte, most[1]);
}

}  // namespace
}  // namespace lockstep
