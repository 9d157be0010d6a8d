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

/// A data set (N, ...) of one HDF5 file as N rows, open for reading, and a watch on all files that its values
/// lie in.
class StoredRows {
 public:
  /// Throws Error(data) if the data set, or a file that it refers to, is absent, or if it is no array of
  /// numbers with at least one row.
  StoredRows(const std::string& path, const std::string& name);

  const hdf5::Dataset& dataset() const { return dataset_; }
  int64_t rows() const { return dataset_.extents()[0]; }
  /// Rows that one chunk holds values of, at least in part; 1 unless the data set is chunked.
  int64_t chunk_rows() const { return dataset_.chunk().empty() ? 1 : dataset_.chunk()[0]; }
  /// Chunks that each row passes through; 1 unless the data set is chunked.
  double chunks_across() const;
  /// Rows of row_bytes each that make a few MiB and end where chunks end, so that no chunk is decompressed
  /// twice.
  int64_t rows_of_a_piece(size_t row_bytes) const;
  /// Bytes that have to be decompressed to read a row, on average over rows in random order, while this many
  /// blocks of chunk_rows() are at hand. As if 32 rows were read at once, which is a small batch: rows that
  /// are compressed together share the work.
  double decoded_bytes_per_row(double kept_blocks) const;

  /// Runs `read`. Throws Error(data) when one of the files has changed, which is then why reading failed, or
  /// what makes what was read worthless.
  void read_unchanged(const std::function<void()>& read) const;
  void require_all_unchanged() const { watched_->require_all_unchanged(); }

 private:
  hdf5::File file_;
  hdf5::Dataset dataset_;
  std::shared_ptr<void> descriptors_;  ///< kept free for the files that libhdf5 opens later
  std::optional<WatchedFiles> watched_;
};

/// Throws Error(data) unless the data set is an array of integers or floats with at least one row that can be
/// decompressed here; says what it is instead.
void require_rows_of_numbers(const hdf5::Dataset& dataset);

}  // namespace lockstep
