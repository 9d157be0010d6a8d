#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/dataset/layouts/open_rows.h"
#include "io/dataset/machine_memory.h"
#include "io/dataset/reading_order.h"
#include "io/dataset/row_slice.h"
#include "io/dataset/rows/row_source.h"
#include "io/dataset/rows/stored_rows.h"
#include "io/dataset/stored_blocks.h"
#include "io/dataset/stored_samples.h"
#include "io/hdf5/hdf5.h"

namespace lockstep {

struct StoredRun;

/// The rows that one name means in one or more concatenated HDF5 files (open_rows()), held in memory or
/// streamed. Safe to read from several threads at once.
class Column {
 public:
  /// Checks rows when they are read, before they are used. Throws Error if one is invalid.
  using Check =
      std::function<void(const Column& column, const std::byte* rows, int64_t first, int64_t count)>;

  /// Opens the rows of each file, and leaves out those outside `slice`, which counts through all files.
  /// Throws Error(data) if open_rows() does, if a file differs from the first in shape or type, or if the
  /// slice reaches beyond the rows.
  Column(const std::vector<std::string>& files, const std::string& name, const RowLayout& layout = {},
         const RowSlice& slice = {});
  Column(const Column&) = delete;
  Column& operator=(const Column&) = delete;

  int64_t rows() const { return rows_; }
  const Shape& row_shape() const { return row_shape_; }
  const hdf5::ElementType& stored_type() const { return stored_; }
  bool stores_integers() const { return stored_.kind == hdf5::ElementType::Kind::integer; }
  size_t files() const { return parts_.size(); }
  const std::string& file(size_t index) const { return parts_[index].path; }
  int64_t rows_in_file(size_t index) const { return parts_[index].rows; }
  /// See StoredRows::keys(). Call before load().
  const std::vector<std::string>& keys_in_file(size_t index) const { return parts_[index].stored->keys(); }
  const std::string& name() const { return name_; }
  /// See StoredRows::notes(); of the first file.
  const std::vector<std::string>& notes() const { return notes_; }
  /// See RowLayout::names.
  const TargetNames& names() const { return names_; }
  /// See RowFacts::is_padded; of any file.
  bool is_padded() const { return is_padded_; }
  /// See RowFacts::has_channels.
  bool has_channels() const { return has_channels_; }
  const StoredBlocks& blocks() const { return blocks_; }
  bool in_memory() const { return in_memory_; }
  /// The number of ranks that share the rows in memory.
  int shared_by() const { return shared_by_; }

  /// The type that preserves the stored values: uint8, float16, float32 and float64 stay as they are; other
  /// integers become float32.
  DType natural_dtype() const;
  DType dtype() const { return dtype_; }
  size_t row_bytes() const { return row_bytes_; }

  /// Sets the type in which rows are delivered and the check that they must pass. Call before load() or
  /// stream().
  void give_out(DType dtype, Check check);
  /// See StoredRows::keep_places().
  void keep_places(const hdf5::PlacesFolder& folder, const MachineMemory* machine);
  /// Reads and checks every row into memory and closes the files. machine: its ranks share that memory and
  /// the work, if they can; null: each holds its own.
  void load(const MachineMemory* machine = nullptr);
  /// Leaves the rows in the files; at most cache_bytes of decompressed blocks are kept for each rank, or one
  /// block for each of its `readers`, the threads that read at once, and another one. machine: its ranks
  /// share them, if they can; null: each has its own.
  void stream(int64_t cache_bytes, const MachineMemory* machine = nullptr, int readers = 1);
  /// See Dataset::expect(); of rows. Null unless blocks are cached.
  std::unique_ptr<Expectation> expect(ReadingOrder order) const;
  /// The cache of decompressed blocks when streamed; null if there is none.
  BlockCache* cache() const { return cache_.get(); }
  /// How read() gets its rows; see RowSource::route().
  std::string route() const { return source_->route(); }
  /// When streamed: see StoredRows::decoded_bytes_per_row().
  double decoded_bytes_per_row() const { return source_->decoded_bytes_per_row(); }
  /// The rows as samples; see StoredSamples.
  StoredSamples stored_samples() const;

  /// See Dataset::stored_runs() and Dataset::require_unchanged(); of rows.
  std::vector<StoredRun> stored_runs() const;
  void require_unchanged(int64_t row) const;
  /// Copies row indices[i] to out + i row_bytes().
  void read(std::span<const int64_t> indices, std::byte* out) const;
  /// See Dataset::lengths(); of rows.
  std::vector<int64_t> lengths(std::span<const int64_t> indices) const;
  /// Calls visit(rows, first, count) for all rows in order, in pieces of a few MiB, converted to `dtype` and
  /// unchecked. Stops after the piece that completes `max_rows` rows.
  void for_each_piece(DType dtype, const std::function<void(const std::byte*, int64_t, int64_t)>& visit,
                      int64_t max_rows = INT64_MAX) const;

  /// "mnist.h5:/train/y: sample 17": the file of a row and the row's index in it.
  std::string where(int64_t row) const;

 private:
  struct Part {
    std::string path;
    int64_t first = 0, rows = 0;         ///< among the rows of all files
    std::unique_ptr<StoredRows> stored;  ///< null once the rows are in memory
    int64_t skipped = 0;                 ///< rows of the file before those
    const RowSource* blocks = nullptr;   ///< when streamed: its source if that has blocks
  };
  const Part& part_of(int64_t row) const;
  RowFormat format_of(const Part& part) const;
  /// That of the first block of its file in the cache, where a block's key is its number in `blocks_`: below
  /// zero if that block and others behind it are not in use.
  int64_t key_of_first_block(const Part& part) const;
  void keep(const RowSlice& slice);
  /// Of rows [first, first + count) of the file.
  std::vector<int64_t> lengths_in(const Part& part, int64_t first, int64_t count) const;

  std::string name_;
  TargetNames names_;
  bool is_padded_ = false, has_channels_ = false;
  std::vector<std::string> notes_;
  std::vector<Part> parts_;
  int64_t rows_ = 0;
  Shape row_shape_;
  hdf5::ElementType stored_;
  StoredBlocks blocks_;
  bool aligned_ = true;  ///< whether a part begins with a block
  DType dtype_ = DType::f32;
  size_t row_bytes_ = 0;
  Check check_;
  std::shared_ptr<BlockCache> cache_;
  std::unique_ptr<RowSource> source_;  ///< reads from `parts_`
  std::vector<int64_t> lengths_;       ///< of padded rows in memory
  bool in_memory_ = false;
  int shared_by_ = 1;
};

/// A Column::Check: no NaN, no infinity.
void require_finite(const Column& column, const std::byte* rows, int64_t first, int64_t count);

}  // namespace lockstep
