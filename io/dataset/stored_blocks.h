#pragma once

#include <cstdint>
#include <vector>

namespace lockstep {

/// Rows [first, first + count).
struct RowRange {
  int64_t first = 0, count = 0;
  bool operator==(const RowRange&) const = default;
};

/// How the rows of a data set are grouped on disk: in blocks that are read and decoded as a whole, numbered
/// in stored order. A chunked file has one block per row of chunks; any other file has one per row. The
/// blocks depend only on the files and are the same for rows that are held in memory.
class StoredBlocks {
 public:
  /// Adds the rows of another file in blocks of `block_rows`; the last block may be shorter.
  void append(int64_t rows, int64_t block_rows);

  int64_t rows() const { return parts_.empty() ? 0 : parts_.back().rows_end; }
  int64_t count() const { return parts_.empty() ? 0 : parts_.back().blocks_end; }
  int64_t block_of(int64_t row) const;
  RowRange rows_of(int64_t block) const;
  /// The most rows of a block.
  int64_t most_rows() const;

 private:
  struct Part {
    int64_t first_row, rows_end, first_block, blocks_end, block_rows;
  };
  std::vector<Part> parts_;
};

}  // namespace lockstep
