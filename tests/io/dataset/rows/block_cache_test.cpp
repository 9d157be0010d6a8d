#include "io/dataset/rows/block_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>
#include <string>
#include <thread>

#include "src/core/error.h"
#include "tests/support/await.h"

namespace lockstep {
namespace {

BlockCache::Block block_of(size_t bytes) { return std::make_shared<std::vector<std::byte>>(bytes); }

TEST(BlockCache, KeepsTheMostRecentlyUsedBlocksThatFit) {
  BlockCache cache(100);
  for (const int64_t key : {1, 2}) cache.get(key, [] { return block_of(40); });
  EXPECT_NE(cache.find(1), nullptr);  // now used more recently than 2
  cache.get(3, [] { return block_of(40); });
  EXPECT_NE(cache.find(1), nullptr);
  EXPECT_EQ(cache.find(2), nullptr);
  EXPECT_NE(cache.find(3), nullptr);
  // One block is always kept, however large; who holds another still has it.
  const BlockCache::Block held = cache.find(3);
  cache.get(4, [] { return block_of(1000); });
  EXPECT_EQ(cache.find(1), nullptr);
  EXPECT_EQ(cache.find(3), nullptr);
  EXPECT_NE(cache.find(4), nullptr);
  EXPECT_EQ(held->size(), 40u);
}

/// Four threads get block 7 while the first of them is making it, which ends when the others wait.
class FourThreads {
 public:
  /// finish: what the first one does then.
  void get(BlockCache& cache, const std::function<BlockCache::Block()>& finish) {
    std::vector<std::thread> threads;
    for (size_t i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        try {
          blocks[i] = cache.get(7, [&] {
            if (++made > 1) return block_of(8);
            EXPECT_TRUE(await([&] { return cache.waiting() == 3; }));
            return finish();
          });
        } catch (const Error& e) {
          errors[i] = e.what();
          codes[i] = e.code();
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
  BlockCache::Block blocks[4];
  std::string errors[4];
  ExitCode codes[4] = {};
};

TEST(BlockCache, MakesABlockOnceForAllWhoWantItAtTheSameTime) {
  BlockCache cache(100);
  FourThreads threads;
  threads.get(cache, [&] {
    EXPECT_TRUE(cache.is_being_made(7));
    EXPECT_EQ(cache.find(7), nullptr);
    return block_of(8);
  });
  EXPECT_EQ(threads.made, 1);
  for (const BlockCache::Block& block : threads.blocks) {
    EXPECT_NE(block, nullptr);
    EXPECT_EQ(block, cache.find(7));
  }
}

TEST(BlockCache, AnErrorReachesAllWhoWaitAndIsNotKept) {
  BlockCache cache(100);
  FourThreads threads;
  threads.get(cache, []() -> BlockCache::Block { fail(ExitCode::data, "rows 5 to 9 are damaged"); });
  EXPECT_EQ(threads.made, 1);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(threads.errors[i], "rows 5 to 9 are damaged");
    EXPECT_EQ(threads.codes[i], ExitCode::data);
  }
  EXPECT_EQ(cache.find(7), nullptr);
  EXPECT_EQ(cache.get(7, [] { return block_of(3); })->size(), 3u);
}

TEST(BlockCache, WhereOneThreadHasNoMemoryTheNextTriesForItself) {
  BlockCache cache(100);
  FourThreads threads;
  threads.get(cache, []() -> BlockCache::Block { throw std::bad_alloc(); });
  EXPECT_EQ(threads.made, 2);
  int without = 0;
  for (size_t i = 0; i < 4; ++i) {
    without += threads.errors[i] == "no memory";
    EXPECT_EQ(threads.blocks[i] == nullptr, threads.errors[i] == "no memory");
  }
  EXPECT_EQ(without, 1);
}

TEST(BlockCache, MakesOtherBlocksMeanwhile) {
  BlockCache cache(100);
  std::atomic<bool> other_is_there = false;
  std::thread slow([&] {
    cache.get(1, [&] {
      EXPECT_TRUE(await([&] { return other_is_there.load(); }));
      return block_of(8);
    });
  });
  EXPECT_TRUE(await([&] { return cache.is_being_made(1); }));
  EXPECT_NE(cache.get(2, [] { return block_of(8); }), nullptr);
  other_is_there = true;
  slow.join();
  EXPECT_NE(cache.find(1), nullptr);
}

}  // namespace
}  // namespace lockstep
