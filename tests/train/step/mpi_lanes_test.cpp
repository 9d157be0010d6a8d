#include <gtest/gtest.h>

#include <algorithm>

#include "src/core/cores.h"
#include "src/train/run/run_settings.h"
#include "tests/support/core_binding.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

TEST(LanesOf, AreTheFewestThatAnyRankHas) {
  World& world = test_world();
  TrainOptions options;
  options.run.threads = 3 + world.rank();
  EXPECT_EQ(lanes_of(options, Exec{}, world), 3);
}

TEST(LanesOf, AreTheCoresThatRanksShare) {
  World& world = test_world();
  const std::vector<int> cores = usable_cores();
  const int alone = static_cast<int>(cores.size()), together = std::max(1, alone / world.size());
  const int unbound = lanes_of({}, Exec{}, world);
  EXPECT_GE(unbound, together);
  EXPECT_LE(unbound, alone);
  const CoreBinding binding(cores[static_cast<size_t>(world.rank()) % cores.size()]);
  EXPECT_EQ(lanes_of({}, Exec{}, world), 1);
}

}  // namespace
}  // namespace lockstep
