#include "comm/watch/watchdog.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "src/core/activity.h"
#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

/// Longer than any rank is held up here.
constexpr double kTimeout = 250;

/// Works for two of the watchdog's reports.
void work(World& world) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(600);
  for (bool over = false; !over; over = world.any(std::chrono::steady_clock::now() > end)) {
    const PhaseScope computing(Phase::compute);
    activity().progress();
  }
}

// What it does to ranks that are at fault is in tests/launch/run/fault_test.cpp.
TEST(MpiWatchdog, LetsRanksThatWorkDoSoAndLeaveInAnyOrder) {
  World& world = test_world();
  for (int last = 0; last < world.size(); ++last) {
    {
      const Watchdog watchdog(world, kTimeout);
      work(world);
      if (world.rank() == last) std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    EXPECT_FALSE(world.any(false));
  }
}

}  // namespace
}  // namespace lockstep
