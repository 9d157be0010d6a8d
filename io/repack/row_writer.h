#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/repack/raw_rows.h"
#include "src/core/thread_pool.h"

namespace lockstep {

/// How the rows of a data set are stored: contiguous, or in chunks of whole rows with HDF5's shuffle filter
/// and deflate.
struct RowStorage {
  int64_t chunk_rows = 0;  ///< 0: contiguous
  int level = 0;           ///< of deflate, 1 to 9 in chunks
};

/// Consecutive rows in the form in which they are stored: their chunks, or all rows in one block if they are
/// contiguous.
using EncodedRows = std::vector<std::vector<std::byte>>;

/// Compresses rows, the first of which begins a chunk, in several threads. like: of the same shape and type.
EncodedRows encode_rows(std::vector<std::byte> rows, const RawRows& like, RowStorage storage,
                        ThreadPool& pool);

/// Writes a new data set of rows in order, compressed by several threads. Must not outlive its arguments.
class RowWriter {
 public:
  /// Creates the data set `name`, whose group exists, for `rows` rows of the same shape and type as `like`.
  RowWriter(hdf5::File& file, std::string name, const RawRows& like, int64_t rows, RowStorage storage,
            ThreadPool& pool);

  /// Each call but the last appends a multiple of this number of rows.
  int64_t multiple() const { return storage_.chunk_rows > 0 ? storage_.chunk_rows : 1; }
  /// Throws Error(data).
  void append(std::span<const std::byte> rows);
  /// The same for rows that are encoded already.
  void append(int64_t rows, const EncodedRows& encoded);
  int64_t written() const { return next_; }
  int64_t stored_bytes() const;

 private:
  void append_chunks(const EncodedRows& encoded);
  void append_contiguous(std::span<const std::byte> rows);
  [[noreturn]] void fail_to_write() const;

  const hdf5::File& file_;
  std::string name_;
  std::vector<int64_t> extents_;
  size_t element_bytes_, row_bytes_;
  RowStorage storage_;
  ThreadPool& pool_;
  hdf5::Id id_;
  int64_t next_ = 0;
};

}  // namespace lockstep
