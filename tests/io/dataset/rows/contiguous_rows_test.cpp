#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>

#include "tests/io/dataset/rows/row_reading.h"
#include "tests/support/await.h"

namespace lockstep {
namespace {

constexpr int64_t kPages = 300, kPageValues = 1024;  // rows of one page of floats

/// The file, of which parts are in the page cache.
class ContiguousRowsOnDisk : public testing::Test {
 protected:
  ContiguousRowsOnDisk() {
    put(path_, "/x", {kPages, kPageValues}, counting<float>(kPages * kPageValues));
    descriptor_ = open(path_.c_str(), O_RDONLY);
    bytes_ = std::filesystem::file_size(path_);
    mapped_ = mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, descriptor_, 0);
  }
  ~ContiguousRowsOnDisk() override {
    munmap(mapped_, bytes_);
    close(descriptor_);
  }

  /// Whether the system has dropped the file from the page cache, which it need not.
  bool drop() const {
    fdatasync(descriptor_);
    posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
    return cached_pages(0) == 0;
  }
  /// The number of pages of the file from this one on that are in the page cache.
  int64_t cached_pages(int64_t first) const {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> pages(bytes_ / page + 1);
    if (mapped_ == MAP_FAILED || mincore(mapped_, bytes_, pages.data()) != 0) return -1;
    int64_t count = 0;
    for (size_t i = static_cast<size_t>(first); i < pages.size(); ++i) count += pages[i] & 1;
    return count;
  }
  std::unique_ptr<RowSource> source(const StoredRows& stored, const RowFormat::Check& check) const {
    auto rows = stream_rows(stored, {DType::f32, kPageValues * sizeof(float), check},
                            std::make_shared<BlockCache>(0), 0);
    EXPECT_EQ(rows->route(), "contiguous");
    return rows;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "a.h5";
  int descriptor_ = -1;
  size_t bytes_ = 0;
  void* mapped_ = nullptr;
};

TEST_F(ContiguousRowsOnDisk, AreTheSameAsInThePageCache) {
  const std::unique_ptr<StoredRows> opened = open_rows(path_, "/x");
  const StoredRows& stored = *opened;
  const auto rows = source(stored, nullptr);
  const std::vector<int64_t> order = shuffled_rows(kPages);
  const std::vector<float> cached = rows_of<float>(*rows, order, kPageValues);
  for (size_t i = 0; i < order.size(); ++i)
    ASSERT_EQ(cached[i * kPageValues + 5], static_cast<float>(order[i] * kPageValues + 5));
  if (!drop()) GTEST_SKIP() << "the system keeps the file in its page cache";
  EXPECT_EQ(rows_of<float>(*rows, order, kPageValues), cached);
  // The first rows are cached, later ones are not.
  ASSERT_TRUE(drop());
  rows_of<float>(*rows, {0, 1, 2, 3}, kPageValues);
  EXPECT_EQ(rows_of<float>(*rows, order, kPageValues), cached);
}

TEST_F(ContiguousRowsOnDisk, AreAllAskedForBeforeTheFirstIsUsed) {
  const std::unique_ptr<StoredRows> opened = open_rows(path_, "/x");
  const StoredRows& stored = *opened;
  const auto rows = source(stored, [](const std::byte*, int64_t first, int64_t) {
    fail(ExitCode::data, "row {} is the first", first);
  });
  if (!drop()) GTEST_SKIP() << "the system keeps the file in its page cache";
  // Far apart, so that the system does not read one because of another.
  EXPECT_EQ(error_of([&] { rows_of<float>(*rows, {250, 150, 290}, kPageValues); }), "row 150 is the first");
  EXPECT_TRUE(await([&] { return cached_pages(250) >= 2; })) << cached_pages(250);
}

}  // namespace
}  // namespace lockstep
