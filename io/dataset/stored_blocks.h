#pragma once

#include <cstdint>
#include <vector>

namespace lockstep {

/// Rows [first, first + count).
struct RowRange {
  int64_t first = 0, count = 0;
  bool operator==(const RowRange&) const = default;
};

/// How the stored rows of a data set are grouped on the disk: in blocks that are read and decoded as a whole,
/// numbered in the order in which they lie in the files. A chunked file has one for each row of chunks, and
/// any other file one for each row. It follows from the files alone: it is the same for rows that are held in
/// memory.
class StoredBlocks {
 public:
  /// Adds the rows of another file, which lie `block_rows` together; the last block may be shorter.
  void append(int64_t rows, int64_t block_rows);

  int64_t rows() const { return parts_.empty() ? 0 : parts_.back().rows_end; }
  int64_t count() const { return parts_.empty() ? 0 : parts_.back().blocks_end; }
  int64_t block_of(int64_t row) const;
  RowRange rows_of(int64_t block) const;

 private:
  struct Part {
    int64_t first_row, rows_end, first_block, blocks_end, block_rows;
  };
  std::vector<Part> parts_;
};

}  // namespace lockstep
