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

/// A requested row and the destination of its values.
struct RowRequest {
  int64_t row = 0;
  std::byte* to = nullptr;
};

/// The format in which rows are delivered.
struct RowFormat {
  /// Checks rows [first, first + count) after they are read and before they are used. Throws Error if one is
  /// invalid.
  using Check = std::function<void(const std::byte* rows, int64_t first, int64_t count)>;

  DType dtype = DType::f32;
  size_t row_bytes = 0;
  Check check;  ///< may be empty

  void require_good(const std::byte* rows, int64_t first, int64_t count) const {
    if (check) check(rows, first, count);
  }
};

/// The source of a data set's rows, with one implementation for each way of storing them. Safe to read from
/// several threads at once.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// Copies each requested row. Requests may be in any order and contain a row more than once; they are
  /// modified. Throws Error(data) that names the file, the data set and the rows.
  virtual void read(std::span<RowRequest> wanted) const = 0;
  /// Whether it reads blocks through a BlockCache.
  virtual bool has_blocks() const { return false; }
  /// If so, decodes the block that contains a row, as the cache keeps it.
  virtual void make_block(int64_t /*row*/, std::span<std::byte> /*block*/) const {}
  /// See StoredRows::decoded_bytes_per_row().
  virtual double decoded_bytes_per_row() const { return 0; }
  /// "memory", "contiguous", "chunked", "uncached" or "libhdf5"; several if the files differ.
  virtual std::string route() const = 0;
};

/// Sorts requests in file order, in which each block is needed once and adjacent rows are read together.
inline void sort_by_row(std::span<RowRequest> wanted) {
  const auto before = [](const RowRequest& a, const RowRequest& b) { return a.row < b.row; };
  if (!std::is_sorted(wanted.begin(), wanted.end(), before)) std::sort(wanted.begin(), wanted.end(), before);
}

class StoredRows;
class BlockCache;

/// Creates a source that streams rows from their file, which must outlive it:
///   contiguous  values stored in one piece, in the format in which they are delivered, read into place
///   chunked     blocks that must be decoded (RowFacts::block_bytes), in `cache` with keys from `first_key`;
///               allocate it when all its sources are there
///   uncached    everything else: see UncachedRows
///   libhdf5     what libhdf5 has to read, under its lock: see hdf5::Dataset::why_by_libhdf5()
std::unique_ptr<RowSource> stream_rows(const StoredRows& stored, RowFormat format,
                                       const std::shared_ptr<BlockCache>& cache, int64_t first_key);

}  // namespace lockstep
