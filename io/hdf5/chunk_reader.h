#pragma once

#include <span>
#include <vector>

#include "io/hdf5/box.h"
#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// Bytes of one decoded chunk. Throws Error(data) for more than HDF5 allows.
size_t chunk_bytes(const Dataset& dataset);

/// Bytes of the chunk at `offset` in the file; 0 if it was never written. Throws Error(data) if the chunk
/// index is damaged.
hsize_t stored_chunk_bytes(const Dataset& dataset, const std::vector<hsize_t>& offset);

/// Reads a data set that has a pipeline(). libhdf5 locates and reads the stored bytes of a chunk; they are
/// decoded here, outside the library's lock, by code that is safe for damaged chunks. For one thread at a
/// time; caches the most recently decoded chunk.
class ChunkReader {
 public:
  explicit ChunkReader(const Dataset& dataset);

  /// Reads elements [start, start + size), which must be inside the data set, as `dtype`, in row-major order.
  /// Throws Error(data) that names the chunk and what is wrong with it.
  void read(const std::vector<hsize_t>& start, const std::vector<hsize_t>& size, DType dtype, std::byte* out);
  /// Reads whole rows, one after another; decodes a chunk once for all runs that begin in it.
  void read_runs(std::span<const RowRun> runs, DType dtype, std::byte* out);

 private:
  /// Like read(), into a box of an array with extents target.extents.
  void read_into(const std::vector<hsize_t>& start, const std::vector<hsize_t>& size, DType dtype,
                 std::byte* out, const Box& target);
  /// The values of a chunk in their stored type, or null if it was never written.
  const std::byte* values_of(const std::vector<hsize_t>& cell);
  const std::byte* decode(const std::vector<hsize_t>& offset);
  bool is_stored_raw(const std::vector<hsize_t>& offset) const;
  std::vector<std::byte> fill_value(DType dtype) const;
  [[noreturn]] void fail_at(const std::vector<hsize_t>& offset, const std::string& what) const;

  const Dataset& dataset_;
  size_t element_bytes_;
  std::vector<hsize_t> extents_, chunk_;
  filters::Scratch scratch_;
  filters::Buffer converted_;
  std::vector<hsize_t> cell_;  ///< of the chunk decoded last, in chunks; empty: none
  const std::byte* values_ = nullptr;
};

}  // namespace lockstep::hdf5
