#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cmath>

#include "tests/support/mpi_world.h"

namespace lockstep {
namespace {

TEST(World, KnowsItsRanks) {
  World& world = test_world();
  EXPECT_GE(world.rank(), 0);
  EXPECT_LT(world.rank(), world.size());
  EXPECT_EQ(world.local_rank(), world.rank());  // the tests run on one machine
  EXPECT_EQ(world.local_size(), world.size());
}

TEST(World, BroadcastsTextAndBytesOfAnyLengthFromAnyRoot) {
  World& world = test_world();
  for (int root = 0; root < world.size(); ++root) {
    const std::string long_text(100000, 'x');
    EXPECT_EQ(world.broadcast(world.rank() == root ? "from " + std::to_string(root) : "other", root),
              "from " + std::to_string(root));
    EXPECT_EQ(world.broadcast(world.rank() == root ? "" : "other", root), "");
    EXPECT_EQ(world.broadcast(world.rank() == root ? long_text : "", root), long_text);
    std::vector<std::byte> bytes(3, std::byte(world.rank()));
    world.broadcast(bytes, root);
    EXPECT_THAT(bytes, testing::Each(std::byte(root)));
    world.broadcast(std::span<std::byte>(), root);
  }
}

TEST(World, FindsTheFirstRankThatDiffers) {
  World& world = test_world();
  EXPECT_EQ(world.find_different(7), std::nullopt);
  for (int odd = 1; odd < world.size(); ++odd)
    EXPECT_EQ(world.find_different(world.rank() < odd ? 7 : uint64_t{1} << 63), odd);
  // Rank 0 is the measure, however many others agree.
  EXPECT_EQ(world.find_different(world.rank() == 0 ? 1 : 7),
            world.size() > 1 ? std::optional(1) : std::nullopt);
}

TEST(World, SumsAndTakesMaximaAndMinima) {
  World& world = test_world();
  const double size = world.size();
  std::vector<double> values = {1, static_cast<double>(world.rank()), -static_cast<double>(world.rank())};
  std::vector<double> largest = values, least = values;
  world.sum(values);
  world.max(largest);
  world.min(least);
  EXPECT_THAT(values, testing::ElementsAre(size, size * (size - 1) / 2, -size * (size - 1) / 2));
  EXPECT_THAT(largest, testing::ElementsAre(1, size - 1, 0));
  EXPECT_THAT(least, testing::ElementsAre(1, 0, 1 - size));
  world.sum({});
  world.max({});
  world.min({});

  // Exact where one rank holds the value and the others zero.
  std::vector<double> owned(static_cast<size_t>(world.size()));
  owned[static_cast<size_t>(world.rank())] = 0.1 + world.rank();
  world.sum(owned);
  for (int rank = 0; rank < world.size(); ++rank) EXPECT_EQ(owned[static_cast<size_t>(rank)], 0.1 + rank);

  std::vector<double> not_a_number = {world.rank() == 0 ? NAN : 1.0};
  world.sum(not_a_number);
  EXPECT_TRUE(std::isnan(not_a_number[0]));

  std::vector<float> floats = {1, static_cast<float>(world.rank())};
  world.all_reduce(floats);
  world.all_reduce({});
  EXPECT_THAT(floats, testing::ElementsAre(size, size * (size - 1) / 2));
}

TEST(World, KnowsTheMachineOfEachRank) {
  World& world = test_world();
  char name[256] = {};
  ASSERT_EQ(gethostname(name, sizeof name - 1), 0);
  for (int rank = 0; rank < world.size(); ++rank) EXPECT_EQ(world.host_of(rank), name);
}

TEST(World, AnyHearsEveryRank) {
  World& world = test_world();
  EXPECT_FALSE(world.any(false));
  for (int rank = 0; rank < world.size(); ++rank) EXPECT_TRUE(world.any(world.rank() == rank));
  world.barrier();
}

TEST(World, MessagesOfAnyLengthArriveInOrder) {
  World& world = test_world();
  const auto message = [](int rank, size_t length) {
    std::vector<std::byte> bytes(length);
    for (size_t i = 0; i < length; ++i) bytes[i] = std::byte((i * 7 + static_cast<size_t>(rank)) & 0xff);
    return bytes;
  };
  for (int rank = 1; rank < world.size(); ++rank)
    for (const size_t length : {size_t{0}, size_t{5}, size_t{3000000}, size_t{0}}) {
      if (world.rank() == rank) world.send(message(rank, length), 0);
      if (world.rank() == 0) {
        EXPECT_TRUE(world.receive(rank) == message(rank, length)) << rank << ", " << length;
      }
    }
  world.barrier();
}

TEST(World, GathersInRankOrder) {
  World& world = test_world();
  const std::vector<uint64_t> values =
      world.gather(0xffffffff00000000ull + static_cast<uint64_t>(world.rank()));
  ASSERT_EQ(values.size(), static_cast<size_t>(world.size()));
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], 0xffffffff00000000ull + i);
}

}  // namespace
}  // namespace lockstep
