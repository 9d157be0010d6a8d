#include "io/dataset/rows/chunked_rows.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/io/dataset/rows/row_reading.h"
#include "tests/support/await.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr int64_t kRows = 100, kWidth = 3, kBlockRows = 8;
constexpr int64_t kBlocks = 13, kBlockBytes = kBlockRows * kWidth * int64_t{sizeof(float)};

/// A compressed file, read in blocks of 8 rows, and how many of them were decoded.
class ChunkedRowsOfFile : public testing::Test {
 protected:
  ChunkedRowsOfFile() {
    put(path, "/x", {kRows, kWidth}, counting<float>(kRows * kWidth), {{kBlockRows, kWidth}, 4});
  }

  void open(int64_t cache_bytes) {
    stored = open_rows(path, "/x");
    decoded = 0;
    cache = std::make_shared<BlockCache>(cache_bytes);
    RowFormat format{DType::f32, kWidth * sizeof(float),
                     [this](const std::byte*, int64_t first, int64_t count) {
                       EXPECT_EQ(first % kBlockRows, 0);
                       EXPECT_EQ(count, std::min(kBlockRows, kRows - first));
                       ++decoded;
                       if (during_decoding) during_decoding();
                     }};
    rows = stream_rows(*stored, format, cache, 0);
    ASSERT_EQ(rows->route(), "chunked");
    cache->allocate();
  }

  /// Whether these rows are read as they were written.
  bool reads(const std::vector<int64_t>& wanted) const {
    const std::vector<float> values = rows_of<float>(*rows, wanted, kWidth);
    for (size_t i = 0; i < wanted.size(); ++i)
      for (int64_t j = 0; j < kWidth; ++j)
        if (values[i * kWidth + static_cast<size_t>(j)] != static_cast<float>(wanted[i] * kWidth + j))
          return false;
    return true;
  }

  const TemporaryFolder folder;
  const std::string path = folder / "a.h5";
  std::unique_ptr<StoredRows> stored;
  std::shared_ptr<BlockCache> cache;
  std::unique_ptr<RowSource> rows;
  std::atomic<int> decoded = 0;
  std::function<void()> during_decoding;
};

TEST_F(ChunkedRowsOfFile, InTheOrderOfTheBlocksEachIsDecodedOnce) {
  open(0);  // room for two blocks all the same
  for (int64_t first = 0; first < kRows; first += 2) EXPECT_TRUE(reads({first + 1, first}));
  EXPECT_EQ(decoded, kBlocks);
  // In any order too, when all are wanted at once.
  EXPECT_TRUE(reads(shuffled_rows(kRows)));
  EXPECT_EQ(decoded, 2 * kBlocks - 2);
}

TEST_F(ChunkedRowsOfFile, BlocksAtHandComeFirst) {
  open(2 * kBlockBytes);
  EXPECT_TRUE(reads({kRows - 1, 40}));
  EXPECT_EQ(decoded, 2);
  EXPECT_TRUE(reads({0, 8, 16, 40, kRows - 1}));
  EXPECT_EQ(decoded, 5);
}

TEST_F(ChunkedRowsOfFile, ThreadsThatMissTheSameBlocksDecodeEachOnce) {
  open(kBlocks * kBlockBytes);
  constexpr int kThreads = 4;
  std::atomic<int> started = 0, wrong = 0;
  // The first block is being decoded until all threads are about to read.
  during_decoding = [&] { EXPECT_TRUE(await([&] { return started == kThreads; })); };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      ++started;
      if (!reads(shuffled_rows(kRows))) ++wrong;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(decoded, kBlocks);
}

TEST_F(ChunkedRowsOfFile, ThreadsWithoutRoomForTheirBlocksReadTheRightRows) {
  open(0);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 50; ++i)
        if (!reads({(i * 37 + t * 11) % kRows, (i * 91 + t) % kRows})) ++wrong;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ChunkedRowsOfFile, ADamagedChunkNamesItsRowsToEveryThreadAndSparesTheOthers) {
  {
    const hdf5::Lock lock;
    const hdf5::File file = hdf5::File::open_for_writing(path);
    const hdf5::Dataset dataset = file.dataset("/x");
    const std::vector<hsize_t> corner = {16, 0};
    const std::vector<std::byte> noise(20, std::byte{0x5a});
    ASSERT_GE(H5Dwrite_chunk(dataset.id(), H5P_DEFAULT, 0, corner.data(), noise.size(), noise.data()), 0);
  }
  open(kBlocks * kBlockBytes);
  constexpr size_t kThreads = 3;
  std::string errors[kThreads];
  std::vector<std::thread> threads;
  for (std::string& error : errors)
    threads.emplace_back([&] { error = error_of([&] { reads({50, 17, 3}); }); });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& error : errors)
    EXPECT_THAT(error, HasSubstr("a.h5:/x: rows 16 to 23 cannot be read: the chunk at (16, 0) is damaged"));
  EXPECT_TRUE(reads({15, 24, 0, kRows - 1}));
}

}  // namespace
}  // namespace lockstep
