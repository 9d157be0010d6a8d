#include "comm/collectives/shared_memory.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

// The tests run on one machine.
TEST(SharedMemory, ShowsEachRankWhatTheOthersWrite) {
  World& world = test_world();
  const auto ranks = static_cast<size_t>(world.size()), rank = static_cast<size_t>(world.rank());
  for (const size_t each : {1u, 5000u}) {
    const std::shared_ptr<std::byte[]> memory = share_memory(world, ranks * each);
    if (world.size() == 1) {
      EXPECT_EQ(memory, nullptr);
      return;
    }
    ASSERT_NE(memory, nullptr);
    for (size_t i = 0; i < each; ++i) EXPECT_EQ(memory[rank * each + i], std::byte{0});
    world.barrier();
    for (size_t i = 0; i < each; ++i) memory[rank * each + i] = static_cast<std::byte>(rank + 1);
    world.barrier();
    for (size_t i = 0; i < ranks * each; ++i) ASSERT_EQ(memory[i], static_cast<std::byte>(i / each + 1));
    world.barrier();
  }
}

TEST(SharedMemory, TheRanksOfAMachineAreInOrder) {
  World& world = test_world();
  const std::vector<int> ranks = ranks_of_machine(world);
  ASSERT_EQ(ranks.size(), static_cast<size_t>(world.local_size()));
  EXPECT_EQ(ranks[static_cast<size_t>(world.local_rank())], world.rank());
  for (size_t i = 1; i < ranks.size(); ++i) EXPECT_LT(ranks[i - 1], ranks[i]);
}

}  // namespace
}  // namespace lockstep
