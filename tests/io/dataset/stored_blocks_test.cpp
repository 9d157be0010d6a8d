#include "io/dataset/stored_blocks.h"

#include <algorithm>

#include "tests/io/data_files.h"

namespace lockstep {
namespace {

using testing::ElementsAre;

TEST(StoredBlocks, CountRowsOfOneFileAfterAnother) {
  StoredBlocks blocks;
  EXPECT_EQ(blocks.count(), 0);
  blocks.append(10, 4);
  blocks.append(2, 1);
  blocks.append(6, 3);
  EXPECT_EQ(blocks.rows(), 18);
  ASSERT_EQ(blocks.count(), 7);
  std::vector<int64_t> block_of_row;
  for (int64_t row = 0; row < blocks.rows(); ++row) block_of_row.push_back(blocks.block_of(row));
  EXPECT_THAT(block_of_row, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 4, 5, 5, 5, 6, 6, 6));
  EXPECT_EQ(blocks.rows_of(1), (RowRange{4, 4}));
  EXPECT_EQ(blocks.rows_of(2), (RowRange{8, 2}));
  EXPECT_EQ(blocks.rows_of(4), (RowRange{11, 1}));
  EXPECT_EQ(blocks.rows_of(6), (RowRange{15, 3}));
  EXPECT_THROW(blocks.block_of(18), Error);
  EXPECT_THROW(blocks.rows_of(7), Error);
}

/// 100 compressed samples in chunks of 16, and 20 that are contiguous; streamed or in memory.
std::unique_ptr<Dataset> open_two_files(const TemporaryFolder& folder, int64_t budget) {
  if (!std::filesystem::exists(folder / "a.h5")) {
    put(folder / "a.h5", "/x", {100, 2}, counting<float>(200), {{16, 2}, 3});
    put(folder / "b.h5", "/x", {20, 2}, counting<float>(40));
  }
  return open_dataset({{folder / "a.h5", folder / "b.h5"}, "/x", ""}, {.memory_budget = budget});
}

TEST(StoredBlocks, FollowFromTheFilesWhetherTheyAreInMemoryOrNot) {
  const TemporaryFolder folder;
  for (const int64_t budget : {0, 1 << 20}) {
    const auto data = open_two_files(folder, budget);
    EXPECT_EQ(data->in_memory(), budget > 0);
    const StoredBlocks blocks = data->stored_blocks();
    EXPECT_EQ(blocks.rows(), 120);
    EXPECT_EQ(blocks.count(), 7 + 20);
    EXPECT_EQ(blocks.rows_of(6), (RowRange{96, 4}));
    EXPECT_EQ(blocks.block_of(119), 26);
  }
}

TEST(StoredBlocks, OfEachPartOfASplitGiveAllItsSamplesInTheOrderOfTheFile) {
  const TemporaryFolder folder;
  const std::shared_ptr<const Dataset> whole = open_two_files(folder, 0);
  const Split split = split_dataset(whole, 0.3, 7);
  std::vector<int64_t> rows_of_all;
  for (const Dataset* part : {split.train.get(), split.validation.get()}) {
    const StoredBlocks blocks = part->stored_blocks();
    ASSERT_EQ(blocks.count(), whole->stored_blocks().count());
    std::vector<int64_t> samples, rows;
    for (int64_t block = 0; block < blocks.count(); ++block) {
      for (const int64_t sample : samples_of_block(*part, blocks, block)) {
        samples.push_back(sample);
        rows.push_back(part->stored_row(sample));
        EXPECT_EQ(blocks.block_of(rows.back()), block);
        EXPECT_EQ(part->sample_at(rows.back()), sample);
      }
    }
    EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
    rows_of_all.insert(rows_of_all.end(), rows.begin(), rows.end());
    std::sort(samples.begin(), samples.end());
    EXPECT_EQ(samples, counting<int64_t>(part->size()));
  }
  std::sort(rows_of_all.begin(), rows_of_all.end());
  EXPECT_EQ(rows_of_all, counting<int64_t>(120));
}

TEST(StoredBlocks, OfAPartOfAPartAreThoseOfTheFile) {
  const TemporaryFolder folder;
  Split outer = split_dataset(open_two_files(folder, 0), 0.5, 7);
  const Split inner = split_dataset(std::move(outer.train), 0.5, 8);
  int64_t found = 0;
  for (int64_t row = 0; row < 120; ++row) {
    const int64_t sample = inner.train->sample_at(row);
    EXPECT_FALSE(sample >= 0 && inner.validation->sample_at(row) >= 0) << row;
    if (sample < 0) continue;
    ++found;
    EXPECT_EQ(inner.train->stored_row(sample), row);
  }
  EXPECT_EQ(found, inner.train->size());
}

}  // namespace
}  // namespace lockstep
