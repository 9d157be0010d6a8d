#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/dataset/machine_memory.h"
#include "io/file/watched_files.h"
#include "io/hdf5/hdf5.h"

namespace lockstep {

/// What a layout says about its rows.
struct RowFacts {
  int64_t rows = 0;        ///< at least 1
  Shape shape;             ///< of a row; at least one value
  hdf5::ElementType type;  ///< of the values before their conversion: integers or floats
  /// The extents of the data set, any of which may count the rows (RowLayout::sample_axis); empty if there is
  /// no such choice.
  std::vector<int64_t> axes = {};
  /// Rows that are stored together, such as those of a chunk: reading one of them may cost as much as reading
  /// all. Blocks start at row 0.
  int64_t block_rows = 1;
  /// Bytes to decode for a row of a block, whichever row it is. 0: a row is read for about what it is worth,
  /// so that nothing is gained by keeping blocks in memory.
  double block_bytes = 0;
  /// Number of pieces, such as chunks, that hold a block and are decoded one by one. If it is 1, decoding
  /// takes the memory of a whole block in any case.
  double block_pieces = 1;
  /// Bytes of memory that reading a row takes besides its values.
  size_t read_bytes = 0;
  /// Whether libhdf5 reads the values, under its lock.
  bool by_libhdf5 = false;
  /// Whether rows shorter than `shape` were filled up with RowLayout::padding.
  bool is_padded = false;
  /// Whether the last axis of `shape` is known to hold channels: the parts of a complex number, fields.
  bool has_channels = false;
  /// Whether some stored values may stand for none, which are read as NaN or as RowLayout::missing.
  bool has_missing = false;
  /// What was understood of the file and may surprise its owner, one sentence each without a full stop: it
  /// is said at the start of a run.
  std::vector<std::string> notes = {};
};

/// Some values of one HDF5 file as rows, open for reading, however they lie in the file: see
/// layouts/open_rows.h. A layout says what rows there are (RowFacts) and how to read some of them; holding
/// them in memory, caching, checking and ordering them is the same for all. Watches all files that hold the
/// values for changes. Safe to read from several threads at once.
class StoredRows {
 public:
  virtual ~StoredRows() = default;
  StoredRows(const StoredRows&) = delete;
  StoredRows& operator=(const StoredRows&) = delete;

  const std::string& path() const { return file_.path(); }
  /// As a config names it: "/train/x", "/table.energy".
  const std::string& name() const { return name_; }
  /// "mnist.h5:/train/x", to begin an error with.
  std::string where() const { return path() + ":" + printable(name_); }
  const RowFacts& facts() const { return facts_; }
  int64_t rows() const { return facts_.rows; }
  /// facts().notes, and before them whether the file is a family.
  std::vector<std::string> notes() const;

  /// The data set, if its rows (N, ...) are these rows, value for value: ContiguousRows then reads them
  /// without this class. Null for every other layout.
  virtual const hdf5::Dataset* plain() const { return nullptr; }
  /// The names of the data sets that hold the values, to be examined in a child process before they are read.
  virtual std::vector<std::string> data_sets() const = 0;

  /// The numbers of values of rows [first, first + count) without the padding behind them; empty if no row is
  /// padded.
  virtual std::vector<int64_t> lengths_of(int64_t /*first*/, int64_t /*count*/) const { return {}; }
  /// What the * of a pattern stand for in the name of each row's data set (SeparateRows); empty if one data
  /// set holds all rows.
  virtual const std::vector<std::string>& keys() const {
    static const std::vector<std::string> none;
    return none;
  }

  /// Reads rows one after another into `out`, row-major, converted to `dtype`. Runs are in order, do not
  /// overlap and are inside [0, rows()). dtype: as for hdf5::Dataset, any that facts().type converts to.
  /// Throws Error(data) that names the file, the data set and the rows.
  virtual void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const = 0;
  void read_rows(int64_t first, int64_t count, DType dtype, std::byte* out) const;

  /// Number of rows of row_bytes each that make a few MiB and end at the end of a block, so that nothing is
  /// decoded twice.
  int64_t rows_of_a_piece(size_t row_bytes) const;
  /// Bytes to decode per row, on average over rows in random order, if `kept_blocks` blocks are cached.
  /// Assumes that 32 rows, a small batch, are read at once, since rows that are stored together share the
  /// work.
  double decoded_bytes_per_row(double kept_blocks) const;

  /// Calls `read`. Throws Error(data) if one of the files has changed, which explains a failure of `read` and
  /// invalidates what it has read.
  void read_unchanged(const std::function<void()>& read) const;
  void require_all_unchanged() const { watched_->require_all_unchanged(); }

  /// Keeps the places of its chunks for later runs, and shares them with the ranks of `machine`, if there are
  /// many and the ranks can: see ChunkMap::keep(). Collective if there is a machine. Call before rows are
  /// read by several threads.
  void keep_places(const hdf5::PlacesFolder& folder, const MachineMemory* machine);

 protected:
  StoredRows(hdf5::File file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}

  const hdf5::File& file() const { return file_; }
  /// Opens and watches the files that hold the values of a data set. A constructor calls it for each data set
  /// before it reads any value. Throws Error(data) if one is missing.
  void watch(const hdf5::Dataset& dataset);
  /// Set by the constructor.
  RowFacts facts_;

 private:
  hdf5::File file_;
  std::string name_;
  std::vector<std::shared_ptr<void>> descriptors_;  ///< reserved for files that libhdf5 opens later
  std::vector<std::string> watched_paths_;
  std::vector<std::shared_ptr<hdf5::ChunkMap>> large_maps_;
  std::optional<WatchedFiles> watched_;
};

}  // namespace lockstep
