#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/file/watched_files.h"
#include "io/hdf5/hdf5.h"

namespace lockstep {

/// A data set (N, ...) of one HDF5 file as N rows, open for reading. Watches all files that hold its values
/// for changes.
class StoredRows {
 public:
  /// Throws Error(data) if the data set or a file that it refers to is missing, or if it is not an array of
  /// numbers with at least one row.
  StoredRows(const std::string& path, const std::string& name);

  const hdf5::Dataset& dataset() const { return dataset_; }
  int64_t rows() const { return dataset_.extents()[0]; }
  /// Number of rows of which a chunk holds values; 1 if the data set is not chunked.
  int64_t chunk_rows() const { return dataset_.chunk().empty() ? 1 : dataset_.chunk()[0]; }
  /// Number of chunks that hold the values of a row; 1 if the data set is not chunked.
  double chunks_across() const;
  /// Number of rows of row_bytes each that make a few MiB and end at the end of a chunk, so that no chunk is
  /// decompressed twice.
  int64_t rows_of_a_piece(size_t row_bytes) const;
  /// Bytes to decompress per row, on average over rows in random order, if `kept_blocks` blocks of
  /// chunk_rows() are cached. Assumes that 32 rows, a small batch, are read at once, since rows that are
  /// compressed together share the work.
  double decoded_bytes_per_row(double kept_blocks) const;

  /// Calls `read`. Throws Error(data) if one of the files has changed, which explains a failure of `read` and
  /// invalidates what it has read.
  void read_unchanged(const std::function<void()>& read) const;
  void require_all_unchanged() const { watched_->require_all_unchanged(); }

 private:
  hdf5::File file_;
  hdf5::Dataset dataset_;
  std::shared_ptr<void> descriptors_;  ///< reserved for files that libhdf5 opens later
  std::optional<WatchedFiles> watched_;
};

/// Throws Error(data) unless the file has a data set of this name: lists those it has, and how a config names
/// them.
void require_dataset(const hdf5::File& file, const std::string& name);

/// Throws Error(data) unless the data set is an array of integers or floats with at least one row, with
/// filters that are available. The message says what it is instead.
void require_rows_of_numbers(const hdf5::Dataset& dataset);

}  // namespace lockstep
