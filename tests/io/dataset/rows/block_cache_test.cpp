#include "io/dataset/rows/block_cache.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstring>
#include <map>
#include <new>
#include <set>
#include <string>
#include <thread>

#include "io/dataset/order/permutation.h"
#include "src/core/error.h"
#include "tests/support/await.h"

namespace lockstep {
namespace {

constexpr size_t kBytes = 64;  // of a block

/// Fills a block with its key.
BlockCache::Make filled_with(int64_t key) {
  return [key](std::span<std::byte> block) { std::memcpy(block.data(), &key, sizeof(key)); };
}

/// A cache for one rank with this many slots, of many more blocks.
struct OwnCache {
  explicit OwnCache(int64_t slots) : cache(slots * static_cast<int64_t>(kBytes)) {
    cache.admit(1000, kBytes);
    cache.allocate();
    EXPECT_EQ(cache.slots(), slots);
  }
  /// Whether the block had to be made.
  bool makes(int64_t key) {
    bool made = false;
    const BlockCache::Block block = cache.get(key, [&](std::span<std::byte> memory) {
      filled_with(key)(memory);
      made = true;
    });
    EXPECT_EQ(std::memcmp(block.data(), &key, sizeof(key)), 0);
    return made;
  }
  /// The blocks that it makes for these requests.
  std::vector<int64_t> made_of(const std::vector<int64_t>& keys) {
    std::vector<int64_t> made;
    for (const int64_t key : keys)
      if (makes(key)) made.push_back(key);
    return made;
  }
  /// The same for requests that it knows in advance, one a step.
  std::vector<int64_t> made_of_known(const std::vector<int64_t>& keys) {
    const auto expectation =
        cache.expect({.steps = static_cast<int64_t>(keys.size()),
                      .first_slot = 0,
                      .rows = 1,
                      .sample = [&](int64_t step, int64_t) { return keys[static_cast<size_t>(step)]; }},
                     [](int64_t sample) { return sample; });
    std::vector<int64_t> made;
    for (size_t step = 0; step < keys.size(); ++step) {
      if (makes(keys[step])) made.push_back(keys[step]);
      expectation->has_read(static_cast<int64_t>(step) + 1);
    }
    return made;
  }

  BlockCache cache;
};

TEST(BlockCache, WithoutAKnownOrderKeepsTheBlocksUsedLast) {
  OwnCache own(2);
  EXPECT_EQ(own.made_of({1, 2, 1, 3, 1, 2, 1, 3}), (std::vector<int64_t>{1, 2, 3, 2, 3}));
  EXPECT_EQ(own.cache.made(), 5);
}

// Belady's algorithm, worked out by hand: with room for three, a block that has to go is the one that is
// needed last. It may be the one that was just made.
TEST(BlockCache, KeepsTheBlocksOfAKnownOrderThatAreNeededSoonest) {
  const std::vector<int64_t> order = {1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5};
  OwnCache in_advance(3), used_last(3);
  EXPECT_EQ(in_advance.made_of_known(order), (std::vector<int64_t>{1, 2, 3, 4, 5, 3, 4}));
  EXPECT_EQ(used_last.made_of(order), (std::vector<int64_t>{1, 2, 3, 4, 1, 2, 5, 3, 4, 5}));
}

TEST(BlockCache, ReadingInTurnsKeepsAPartInsteadOfNothing) {
  std::vector<int64_t> order;
  for (int round = 0; round < 10; ++round)
    for (int64_t key = 0; key < 10; ++key) order.push_back(key);
  OwnCache in_advance(5), used_last(5);
  EXPECT_EQ(used_last.made_of(order).size(), 100u);
  // Of each ten, four of the five kept ones are of use, and later five.
  EXPECT_LE(in_advance.made_of_known(order).size(), 10u + 9u * 6u);
}

/// Misses of the best possible choice for these requests, by looking at all that follow.
int64_t best_misses(const std::vector<int64_t>& keys, size_t slots) {
  std::set<int64_t> kept;
  int64_t misses = 0;
  for (size_t at = 0; at < keys.size(); ++at) {
    if (kept.contains(keys[at])) continue;
    ++misses;
    if (kept.size() == slots) {
      int64_t victim = -1;
      size_t furthest = 0;
      for (const int64_t key : kept) {
        size_t next = at + 1;
        while (next < keys.size() && keys[next] != key) ++next;
        if (next > furthest) furthest = next, victim = key;
      }
      kept.erase(victim);
    }
    kept.insert(keys[at]);
  }
  return misses;
}

TEST(BlockCache, MissesNoMoreThanTheBestChoiceForAnyOrder) {
  constexpr int64_t kKeys = 40, kRequests = 1000;
  for (const int64_t slots : {2, 7, 20, 39}) {
    std::vector<int64_t> order;
    for (int64_t i = 0; i < kRequests; ++i) {
      const Permutation epoch(static_cast<uint64_t>(i / kKeys), static_cast<uint64_t>(kKeys));
      order.push_back(static_cast<int64_t>(epoch(static_cast<uint64_t>(i % kKeys))));
    }
    OwnCache own(slots);
    EXPECT_EQ(static_cast<int64_t>(own.made_of_known(order).size()),
              best_misses(order, static_cast<size_t>(slots)));
  }
}

TEST(BlockCache, TheNewestOrderAppliesAndThenTheOneBefore) {
  OwnCache own(2);
  const std::vector<int64_t> outer = {1, 2, 3, 1, 4, 1};
  const auto training =
      own.cache.expect({.steps = 6,
                        .first_slot = 0,
                        .rows = 1,
                        .sample = [&](int64_t step, int64_t) { return outer[static_cast<size_t>(step)]; }},
                       [](int64_t sample) { return sample; });
  for (int64_t step = 0; step < 3; ++step) {
    EXPECT_TRUE(own.makes(outer[static_cast<size_t>(step)]));
    training->has_read(step + 1);
  }
  EXPECT_TRUE(own.cache.find(1));  // not 2
  EXPECT_EQ(own.made_of_known({7, 3, 8, 3}), (std::vector<int64_t>{7, 8}));
  EXPECT_TRUE(own.makes(1));
  training->has_read(4);
  EXPECT_TRUE(own.makes(4));
  training->has_read(5);
  EXPECT_FALSE(own.makes(1));
}

TEST(BlockCache, NeedsNoOrderIfAllBlocksFit) {
  BlockCache cache(int64_t{3} * static_cast<int64_t>(kBytes));
  cache.admit(2, kBytes);
  cache.admit(1, kBytes / 2);
  cache.allocate();
  EXPECT_EQ(cache.slots(), 3);
  EXPECT_EQ(cache.bytes(), 3 * static_cast<int64_t>(kBytes));
  EXPECT_EQ(cache.expect({}, nullptr), nullptr);
}

/// A cache that makes the blocks of a known order ahead, one block a step.
class AheadCache {
 public:
  AheadCache(int64_t slots, int readers, std::vector<int64_t> keys, int64_t blocks = 1000)
      : cache(slots * static_cast<int64_t>(kBytes), readers), order(std::move(keys)) {
    cache.admit(blocks, kBytes);
    cache.allocate();
    expectation = cache.expect(
        {.steps = static_cast<int64_t>(order.size()),
         .first_slot = 0,
         .rows = 1,
         .sample = [this](int64_t step, int64_t) { return order[static_cast<size_t>(step)]; }},
        [](int64_t sample) { return sample; },
        [this](int64_t key, std::span<std::byte> block) {
          ahead.push_back(key);
          filled_with(key)(block);
        });
  }
  /// Makes as many blocks as it may, and returns them.
  std::vector<int64_t> read_ahead() {
    ahead.clear();
    while (expectation->read_ahead()) {
    }
    return ahead;
  }
  /// Reads step after step. Returns whether the last one's block had to be made.
  bool read_to(int64_t step) {
    bool made = false;
    for (; next <= step; ++next) {
      const int64_t key = order[static_cast<size_t>(next)];
      made = false;
      const BlockCache::Block block = cache.get(key, [&](std::span<std::byte> memory) {
        made = true;
        filled_with(key)(memory);
      });
      EXPECT_EQ(std::memcmp(block.data(), &key, sizeof(key)), 0);
      expectation->has_read(next + 1);
    }
    return made;
  }

  BlockCache cache;
  const std::vector<int64_t> order;
  std::vector<int64_t> ahead;
  std::unique_ptr<Expectation> expectation;
  int64_t next = 0;  ///< step
};

using Keys = std::vector<int64_t>;

TEST(BlockCache, ReadsAheadABlockForEachReader) {
  AheadCache cache(/*slots=*/0, /*readers=*/2, {1, 1, 2, 3, 4, 1, 5});
  EXPECT_EQ(cache.cache.slots(), 3);
  EXPECT_EQ(cache.read_ahead(), (Keys{1, 2}));
  EXPECT_FALSE(cache.read_to(0));
  EXPECT_EQ(cache.read_ahead(), Keys{3});
  // 2 and 3 were not used yet.
  EXPECT_FALSE(cache.read_to(1));
  EXPECT_EQ(cache.read_ahead(), Keys{});
  // In place of 2, which is not used again.
  EXPECT_FALSE(cache.read_to(2));
  EXPECT_EQ(cache.read_ahead(), Keys{4});
  EXPECT_FALSE(cache.read_to(5));
  EXPECT_EQ(cache.read_ahead(), Keys{5});
  EXPECT_FALSE(cache.read_to(6));
  EXPECT_EQ(cache.cache.made(), 5);
}

TEST(BlockCache, ReadsAheadNotForBlocksThatAreNeededSooner) {
  AheadCache cache(/*slots=*/2, /*readers=*/1, {1, 2, 1, 2, 3});
  EXPECT_TRUE(cache.read_to(0));
  EXPECT_EQ(cache.read_ahead(), Keys{2});
  EXPECT_FALSE(cache.read_to(1));
  EXPECT_EQ(cache.read_ahead(), Keys{});
  EXPECT_FALSE(cache.read_to(2));
  EXPECT_EQ(cache.read_ahead(), Keys{3});
  EXPECT_FALSE(cache.read_to(4));
}

TEST(BlockCache, ReadsAheadOnceIfAllBlocksFit) {
  AheadCache cache(/*slots=*/3, /*readers=*/1, {1, 2, 3, 1, 2, 3}, /*blocks=*/3);
  for (int64_t step = 0; step < 3; ++step) {
    EXPECT_EQ(cache.read_ahead(), Keys{step + 1});
    EXPECT_FALSE(cache.read_to(step));
  }
  EXPECT_EQ(cache.read_ahead(), Keys{});
  EXPECT_FALSE(cache.read_to(5));
  EXPECT_EQ(cache.cache.made(), 3);
}

// An idle thread could fill the cache with what is needed next, and would give up much that a cache without
// it keeps: with room for half of the blocks half of all uses would miss.
TEST(BlockCache, ReadingAheadHardlyMissesMoreThanTheBestChoice) {
  constexpr int64_t kKeys = 40, kSteps = 1000;
  Keys order;
  for (int64_t i = 0; i < kSteps; ++i) {
    const Permutation epoch(static_cast<uint64_t>(i / kKeys), static_cast<uint64_t>(kKeys));
    order.push_back(static_cast<int64_t>(epoch(static_cast<uint64_t>(i % kKeys))));
  }
  AheadCache cache(/*slots=*/20, /*readers=*/2, order);
  for (int64_t step = 0; step < kSteps; ++step) {
    cache.read_ahead();
    EXPECT_FALSE(cache.read_to(step));
  }
  EXPECT_LT(static_cast<double>(cache.cache.made()), 1.15 * static_cast<double>(best_misses(order, 20)));
}

TEST(BlockCache, AThreadThatWaitsMakesTheNextBlockMeanwhile) {
  BlockCache cache(0, /*readers=*/2);
  cache.admit(1000, kBytes);
  cache.allocate();
  std::atomic<bool> is_next_there = false;
  const auto expectation = cache.expect(
      {.steps = 100, .first_slot = 0, .rows = 1, .sample = [](int64_t step, int64_t) { return step / 4; }},
      [](int64_t sample) { return sample; },
      [&](int64_t key, std::span<std::byte> block) {
        filled_with(key)(block);
        if (key == 1) is_next_there = true;
      });
  std::thread other;
  const auto first = cache.get(0, [&](std::span<std::byte> block) {
    other = std::thread([&] { EXPECT_TRUE(cache.get(0, nullptr)); });
    EXPECT_TRUE(await([&] { return is_next_there.load(); }));
    filled_with(0)(block);
  });
  other.join();
  EXPECT_TRUE(cache.find(1));
}

TEST(BlockCache, WhatFailsAheadIsLeftToWhoeverNeedsIt) {
  BlockCache cache(0);
  cache.admit(1000, kBytes);
  cache.allocate();
  int tried = 0;
  const auto expectation = cache.expect(
      {.steps = 9, .first_slot = 0, .rows = 1, .sample = [](int64_t step, int64_t) { return step; }},
      [](int64_t sample) { return sample; },
      [&](int64_t, std::span<std::byte>) {
        ++tried;
        fail(ExitCode::data, "damaged");
      });
  while (expectation->read_ahead()) {
  }
  EXPECT_EQ(tried, 1);
  EXPECT_FALSE(cache.is_being_made(0));
  EXPECT_FALSE(cache.find(0));
  EXPECT_TRUE(cache.get(0, filled_with(0)));
}

TEST(BlockCache, KeepsABlockThatIsInUse) {
  OwnCache own(2);
  const BlockCache::Block held = own.cache.get(1, filled_with(1));
  EXPECT_EQ(own.made_of({2, 3, 4, 1}), (std::vector<int64_t>{2, 3, 4}));
  const int64_t key = 1;
  EXPECT_EQ(std::memcmp(held.data(), &key, sizeof(key)), 0);
}

/// Four threads get block 7 while the first of them is making it, which ends when the others wait.
class FourThreads {
 public:
  /// finish: what the first one does then.
  void get(BlockCache& cache, const std::function<void()>& finish) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        try {
          cache.get(7, [&](std::span<std::byte> block) {
            const bool is_first = ++made == 1;
            EXPECT_TRUE(!is_first || await([&] { return cache.waiting() == 3; }));
            finish();
            filled_with(7)(block);
          });
        } catch (const Error& e) {
          errors[i] = e.what();
        } catch (const std::bad_alloc&) {
          errors[i] = "no memory";
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(cache.waiting(), 0);
    EXPECT_FALSE(cache.is_being_made(7));
  }

  std::atomic<int> made = 0;
  std::string errors[4];
};

TEST(BlockCache, MakesABlockOnceForAllWhoWantItAtTheSameTime) {
  OwnCache own(2);
  FourThreads threads;
  threads.get(own.cache, [&] {
    EXPECT_TRUE(own.cache.is_being_made(7));
    EXPECT_FALSE(own.cache.find(7));
  });
  EXPECT_EQ(threads.made, 1);
  for (const std::string& error : threads.errors) EXPECT_EQ(error, "");
  EXPECT_FALSE(own.makes(7));
}

TEST(BlockCache, AnErrorReachesAllWhoWaitAndIsNotKept) {
  OwnCache own(2);
  FourThreads threads;
  threads.get(own.cache, [] { fail(ExitCode::data, "rows 5 to 9 are damaged"); });
  EXPECT_EQ(threads.made, 4);
  for (const std::string& error : threads.errors) EXPECT_EQ(error, "rows 5 to 9 are damaged");
  EXPECT_FALSE(own.cache.find(7));
  EXPECT_TRUE(own.makes(7));
  // The slots are free again.
  EXPECT_EQ(own.made_of({1, 2, 1, 2}), (std::vector<int64_t>{1, 2}));
}

TEST(BlockCache, WhereOneThreadHasNoMemoryTheNextTriesForItself) {
  OwnCache own(2);
  FourThreads threads;
  threads.get(own.cache, [&] {
    if (threads.made == 1) throw std::bad_alloc();
  });
  EXPECT_EQ(threads.made, 2);
  EXPECT_EQ(std::ranges::count(threads.errors, "no memory"), 1);
  EXPECT_EQ(std::ranges::count(threads.errors, ""), 3);
}

TEST(BlockCache, MakesOtherBlocksMeanwhile) {
  OwnCache own(2);
  std::atomic<bool> other_is_there = false;
  std::thread slow([&] {
    own.cache.get(1,
                  [&](std::span<std::byte>) { EXPECT_TRUE(await([&] { return other_is_there.load(); })); });
  });
  EXPECT_TRUE(await([&] { return own.cache.is_being_made(1); }));
  EXPECT_TRUE(own.makes(2));
  other_is_there = true;
  slow.join();
  EXPECT_TRUE(own.cache.find(1));
}

TEST(BlockCache, WaitsForASlotIfAllAreInUse) {
  OwnCache own(2);
  std::atomic<bool> is_there = false;
  std::thread third;
  {
    const BlockCache::Block one = own.cache.get(1, filled_with(1));
    std::thread([&] {
      const BlockCache::Block two = own.cache.get(2, filled_with(2));
      third = std::thread([&] {
        EXPECT_TRUE(own.makes(3));
        is_there = true;
      });
      EXPECT_TRUE(await([&] { return own.cache.waiting() == 1; }));
      EXPECT_FALSE(is_there);
    }).join();
    EXPECT_TRUE(await([&] { return is_there.load(); }));
  }
  third.join();
}

TEST(MachineLock, AProcessThatDiesWithItIsAnErrorForTheOthers) {
  void* const memory =
      ::mmap(nullptr, sizeof(MachineLock), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* const lock = static_cast<MachineLock*>(memory);
  lock->initialize();
  lock->lock();
  lock->unlock();
  const pid_t child = fork();
  if (child == 0) {
    lock->lock();
    _exit(0);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  for (int time = 0; time < 2; ++time) {
    try {
      lock->lock();
      ADD_FAILURE() << "took the lock";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::lost);
      EXPECT_EQ(std::string(error.what()),
                "another rank of this machine died while it held the cache that they share.");
    }
  }
  EXPECT_FALSE(lock->acquire());
  ::munmap(memory, sizeof(MachineLock));
}

/// Ranks of a machine, as threads, each with its own object over the same memory.
class SharedCache : public testing::Test {
 protected:
  static constexpr int kRanks = 4;

  /// Runs in each rank with a cache whose capacity is this many slots a rank.
  void run(int64_t slots_per_rank, int64_t blocks,
           const std::function<void(BlockCache& cache, int rank)>& body) {
    std::barrier everybody(kRanks);
    std::shared_ptr<std::byte[]> memory;
    std::vector<std::thread> ranks;
    for (int rank = 0; rank < kRanks; ++rank) {
      ranks.emplace_back([&, rank] {
        const MachineMemory machine{.rank = rank,
                                    .ranks = kRanks,
                                    .allocate =
                                        [&](size_t bytes) {
                                          if (rank == 0)
                                            memory =
                                                std::shared_ptr<std::byte[]>(new std::byte[bytes + 64]());
                                          everybody.arrive_and_wait();
                                          return memory;
                                        },
                                    .wait_for_all = [&] { everybody.arrive_and_wait(); }};
        BlockCache cache(slots_per_rank * static_cast<int64_t>(kBytes));
        cache.admit(blocks, kBytes);
        cache.allocate(&machine);
        EXPECT_EQ(cache.shared_by(), kRanks);
        body(cache, rank);
        everybody.arrive_and_wait();
      });
    }
    for (std::thread& rank : ranks) rank.join();
  }

  /// Gets a block and checks it.
  void get(BlockCache& cache, int64_t key) {
    const BlockCache::Block block = cache.get(key, [&](std::span<std::byte> memory) {
      ++made[static_cast<size_t>(key)];
      filled_with(key)(memory);
    });
    if (std::memcmp(block.data(), &key, sizeof(key)) != 0) ++wrong;
  }

  std::atomic<int> made[100] = {};
  std::atomic<int> wrong = 0;
};

TEST_F(SharedCache, MakesEachBlockOnceIfTheRanksTogetherHaveRoom) {
  std::atomic<int64_t> counted = 0;
  run(25, 100, [&](BlockCache& cache, int rank) {
    EXPECT_EQ(cache.slots(), 100);
    for (int64_t i = 0; i < 300; ++i) get(cache, (i * 37 + rank * 11) % 100);
    counted = cache.made();
  });
  EXPECT_EQ(wrong, 0);
  for (const std::atomic<int>& times : made) EXPECT_EQ(times, 1);
  EXPECT_EQ(counted, 100);
}

TEST_F(SharedCache, HasTheRightBlocksWithMuchLessRoom) {
  run(1, 100, [&](BlockCache& cache, int rank) {
    EXPECT_EQ(cache.slots(), 2 * kRanks);
    for (int64_t i = 0; i < 500; ++i) get(cache, (i * i + rank * 7) % 100);
  });
  EXPECT_EQ(wrong, 0);
}

// The ranks read parts of the same batches, each at its own pace, as far apart as loaders may be.
TEST_F(SharedCache, FollowsTheOrderOfAllRanks) {
  constexpr int64_t kEpochs = 20, kSteps = kEpochs * 100 / 8;  // of 4 ranks x 2 samples
  const auto sample = [](int64_t step, int64_t slot) {
    const int64_t position = step * 8 + slot;
    const Permutation epoch(static_cast<uint64_t>(position / 100), 100);
    return static_cast<int64_t>(epoch(static_cast<uint64_t>(position % 100)));
  };
  const auto made_by = [&](bool is_known) {
    for (std::atomic<int>& times : made) times = 0;
    std::barrier at_step(kRanks);
    run(10, 100, [&](BlockCache& cache, int rank) {
      std::unique_ptr<Expectation> expectation;
      if (is_known)
        expectation = cache.expect({.steps = kSteps, .first_slot = 2 * rank, .rows = 2, .sample = sample},
                                   [](int64_t block) { return block; });
      for (int64_t step = 0; step < kSteps; ++step) {
        for (const int64_t slot : {0, 1}) get(cache, sample(step, 2 * rank + slot));
        if (expectation) expectation->has_read(step + 1);
        if (step % 4 == 3) at_step.arrive_and_wait();
      }
      at_step.arrive_and_drop();
    });
    EXPECT_EQ(wrong, 0);
    int64_t sum = 0;
    for (const std::atomic<int>& times : made) sum += times;
    return sum;
  };
  // Room for 40 of 100 blocks, in random order: a cache that knows nothing misses 60 % after the first epoch.
  const int64_t unknown = made_by(false), known = made_by(true);
  EXPECT_GT(unknown, 1000);
  EXPECT_LT(known, 9 * unknown / 10);
}

TEST_F(SharedCache, AnErrorInOneRankFreesTheBlockForTheOthers) {
  std::atomic<int> failed = 0;
  run(25, 100, [&](BlockCache& cache, int rank) {
    if (rank == 0) {
      try {
        cache.get(5, [&](std::span<std::byte>) {
          EXPECT_TRUE(await([&] { return cache.waiting() == kRanks - 1; }));
          fail(ExitCode::data, "damaged");
        });
      } catch (const Error&) {
        ++failed;
      }
    } else {
      EXPECT_TRUE(await([&] { return cache.is_being_made(5); }));
      get(cache, 5);
    }
  });
  EXPECT_EQ(failed, 1);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(made[5], 1);
}

}  // namespace
}  // namespace lockstep
