#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "src/tensor/tensor.h"

namespace lockstep {

/// A row that is wanted, and where its values go.
struct RowRequest {
  int64_t row = 0;
  std::byte* to = nullptr;
};

/// What rows are given out as.
struct RowFormat {
  /// Sees rows [first, first + count) after they were read and before anyone uses them; throws Error if they
  /// must not be used.
  using Check = std::function<void(const std::byte* rows, int64_t first, int64_t count)>;

  DType dtype = DType::f32;
  size_t row_bytes = 0;
  Check check;  ///< may be empty

  void require_good(const std::byte* rows, int64_t first, int64_t count) const {
    if (check) check(rows, first, count);
  }
};

/// Where the rows of a data set come from, with one implementation for each way to get at them. Whoever reads
/// rows does not know which one it has. Reading is safe from several threads at once.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// Copies each wanted row; they may come in any order and any number of times. Changes the requests. Throws
  /// Error(data) that names the file, the data set and the rows.
  virtual void read(std::span<RowRequest> wanted) const = 0;
  /// See StoredRows::decoded_bytes_per_row().
  virtual double decoded_bytes_per_row() const { return 0; }
  /// "memory", "contiguous", "chunked" or "uncached"; several for files that differ.
  virtual std::string route() const = 0;
};

/// Puts requests in the order of the file, in which each block is needed once and neighbours are read
/// together.
inline void sort_by_row(std::span<RowRequest> wanted) {
  const auto before = [](const RowRequest& a, const RowRequest& b) { return a.row < b.row; };
  if (!std::is_sorted(wanted.begin(), wanted.end(), before)) std::sort(wanted.begin(), wanted.end(), before);
}

class StoredRows;
class BlockCache;

/// The source of rows that stay in their file, which outlives it:
///   contiguous  values that lie in the file as they are given out, in one piece
///   chunked     chunks with filters, decoded into blocks that are kept in `cache` from `first_key` on
///   uncached    all else: see UncachedRows
std::unique_ptr<RowSource> stream_rows(const StoredRows& stored, RowFormat format,
                                       const std::shared_ptr<BlockCache>& cache, int64_t first_key);

}  // namespace lockstep
