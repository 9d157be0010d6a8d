#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/dataset/block_cache.h"
#include "io/file/watched_files.h"
#include "io/hdf5/hdf5.h"

namespace lockstep {

/// One data set (N, ...) that lies in one or more HDF5 files, one after another, as N rows: held in memory,
/// or streamed. Reading is safe from several threads at once.
class Column {
 public:
  /// Sees every row that is read, before anyone uses it, and throws Error if it must not be used.
  using Check =
      std::function<void(const Column& column, const std::byte* rows, int64_t first, int64_t count)>;

  /// Opens the data set in each file. Throws Error(data) if it is absent or no array of numbers with at least
  /// one row, or if a file differs from the first in shape or type.
  Column(const std::vector<std::string>& files, const std::string& name);

  int64_t rows() const { return rows_; }
  const Shape& row_shape() const { return row_shape_; }
  const hdf5::ElementType& stored_type() const { return stored_; }
  size_t files() const { return parts_.size(); }
  const std::string& file(size_t index) const { return parts_[index].path; }
  int64_t rows_in_file(size_t index) const { return parts_[index].rows; }
  const std::string& name() const { return name_; }
  bool in_memory() const { return memory_ != nullptr; }

  /// The type that keeps the stored values: uint8, float16, float32 or float64 themselves; float32 for other
  /// integers.
  DType natural_dtype() const;
  DType dtype() const { return dtype_; }
  size_t row_bytes() const { return row_bytes_; }

  /// Chooses the type that rows are given out in, and the check they must pass. Before load() or stream().
  void give_out(DType dtype, Check check);
  /// Reads and checks every row into memory and closes the files.
  void load();
  /// Leaves the rows in the files; at most cache_bytes of decompressed blocks are kept.
  void stream(int64_t cache_bytes);
  /// When streamed: bytes that have to be decompressed to read a row, on average over rows in random order.
  /// As if 32 rows were read at once, which is a small batch: rows that are compressed together share the
  /// work.
  double decoded_bytes_per_row() const { return decoded_bytes_per_row_; }

  /// Copies row indices[i] to out + i row_bytes().
  void read(std::span<const int64_t> indices, std::byte* out) const;
  /// Calls visit(rows, first, count) over all rows in order, in pieces of a few MiB, as `dtype`, unchecked.
  void for_each_piece(DType dtype,
                      const std::function<void(const std::byte*, int64_t, int64_t)>& visit) const;

  /// "mnist.h5:/train/y: sample 17": a row by its file and its number there.
  std::string where(int64_t row) const;

 private:
  struct Part {
    std::string path;
    int64_t first = 0, rows = 0;
    std::unique_ptr<hdf5::File> file;
    std::unique_ptr<hdf5::Dataset> dataset;
    std::shared_ptr<void> descriptors;  ///< kept free for the files below
    std::unique_ptr<WatchedFiles> watched;
    int64_t block_rows = 0;  ///< rows that are decompressed and kept together; 0: none are kept
  };
  const Part& part_of(int64_t row) const;
  double decoded_bytes_per_row(const Part& part, int64_t cache_bytes) const;
  void stream_runs(const Part& part, std::span<const uint32_t> order, std::span<const int64_t> indices,
                   std::byte* out) const;
  void stream_blocks(const Part& part, std::span<const uint32_t> order, std::span<const int64_t> indices,
                     std::byte* out) const;
  BlockCache::Block read_block(const Part& part, int64_t first, int64_t count) const;

  std::string name_;
  std::vector<Part> parts_;
  int64_t rows_ = 0;
  Shape row_shape_;
  hdf5::ElementType stored_;
  DType dtype_ = DType::f32;
  size_t row_bytes_ = 0;
  Check check_;
  std::unique_ptr<std::byte[]> memory_;  ///< all rows, when in memory
  std::unique_ptr<BlockCache> cache_;
  double decoded_bytes_per_row_ = 0;
};

/// Throws Error(data) unless the data set is an array of integers or floats with at least one row that can be
/// decompressed here; says what it is instead.
void require_rows_of_numbers(const hdf5::Dataset& dataset);

/// A Column::Check: no NaN, no infinity.
void require_finite(const Column& column, const std::byte* rows, int64_t first, int64_t count);

}  // namespace lockstep
