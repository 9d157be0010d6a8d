#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "io/repack/divide_rows.h"
#include "io/repack/row_writer.h"

namespace lockstep {

/// How rows of one of the parts are stored if the data set that is divided is stored like this: what is
/// compressed stays so, by deflate, everything else is contiguous.
RowStorage storage_like(const RawRows& rows, int64_t count);

/// Bytes of memory for the rows of a part that are yet to be written; what is read takes as much as all
/// parts.
size_t memory_of_part(const Division& division);

/// Rows of one part, written in as large pieces as fit into memory.
class PartBuffer {
 public:
  PartBuffer(std::unique_ptr<RowWriter> writer, size_t row_bytes, size_t memory_bytes);

  void add(std::span<const std::byte> rows);
  /// Writes what is left. Call once, at the end.
  void flush();

 private:
  std::unique_ptr<RowWriter> writer_;
  std::vector<std::byte> rows_;
  size_t flush_at_;  ///< a multiple of the writer's
};

/// Reads all rows in pieces of whole blocks of the source, so that each is decoded once, and calls take(part,
/// row) for each.
void for_each_divided_row(const Division& division, size_t row_bytes, int64_t block_rows,
                          const std::function<void(int64_t first, int64_t count, std::byte* out)>& read,
                          const std::function<void(uint8_t part, std::span<const std::byte> row)>& take);

}  // namespace lockstep
