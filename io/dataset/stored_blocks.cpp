#include "io/dataset/stored_blocks.h"

#include <algorithm>

#include "src/core/error.h"

namespace lockstep {

void StoredBlocks::append(int64_t rows, int64_t block_rows) {
  INVARIANT(rows >= 0 && block_rows > 0, "{} rows in blocks of {}", rows, block_rows);
  const int64_t blocks = rows / block_rows + (rows % block_rows == 0 ? 0 : 1);
  parts_.push_back({this->rows(), this->rows() + rows, count(), count() + blocks, block_rows});
}

int64_t StoredBlocks::block_of(int64_t row) const {
  INVARIANT(row >= 0 && row < rows(), "row {} of {}", row, rows());
  const Part& part = *std::upper_bound(parts_.begin(), parts_.end(), row,
                                       [](int64_t at, const Part& other) { return at < other.rows_end; });
  return part.first_block + (row - part.first_row) / part.block_rows;
}

RowRange StoredBlocks::rows_of(int64_t block) const {
  INVARIANT(block >= 0 && block < count(), "block {} of {}", block, count());
  const Part& part = *std::upper_bound(parts_.begin(), parts_.end(), block,
                                       [](int64_t at, const Part& other) { return at < other.blocks_end; });
  const int64_t first = part.first_row + (block - part.first_block) * part.block_rows;
  return {first, std::min(part.block_rows, part.rows_end - first)};
}

int64_t StoredBlocks::most_rows() const {
  int64_t most = 0;
  for (const Part& part : parts_)
    most = std::max(most, std::min(part.block_rows, part.rows_end - part.first_row));
  return most;
}

}  // namespace lockstep
