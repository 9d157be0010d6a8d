#pragma once

#include <optional>
#include <span>
#include <vector>

#include "io/hdf5/box.h"
#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// Reads a data set whose values libhdf5 does not have to read (Dataset::is_read_by_libhdf5()): a chunk is
/// located (ChunkMap), read with pread(), decoded and converted here, by code that is safe for damaged
/// chunks, and none of that but the location needs libhdf5's lock. Of chunks without filters, and of
/// contiguous values, which count as one chunk, only what is needed is read. For one thread at a time; caches
/// the most recently decoded chunk.
class ChunkReader {
 public:
  /// The data set has a pipeline() or a chunk_map(), or both.
  explicit ChunkReader(const Dataset& dataset);

  /// Reads elements [start, start + size), which must be inside the data set, as `dtype`, in row-major order;
  /// none: as they are stored. Throws Error(data) that names the chunk and what is wrong with it.
  void read(const std::vector<hsize_t>& start, const std::vector<hsize_t>& size, std::optional<DType> dtype,
            std::byte* out);
  /// Reads whole rows, one after another; decodes a chunk once for all runs that begin in it.
  void read_runs(std::span<const RowRun> runs, std::optional<DType> dtype, std::byte* out);

 private:
  using Extents = std::vector<hsize_t>;

  /// Like read(), into a box of an array with extents target.extents.
  void read_into(const Extents& start, const Extents& size, std::byte* out, const Box& target);
  /// Sets the type in which values are delivered.
  void deliver(std::optional<DType> dtype);
  /// Copies a box of stored values to the output, converted.
  void put(const std::byte* values, const Box& source, std::byte* out, const Box& target,
           const Extents& size);
  /// The values of a chunk in their stored type, or null if it was never written. They are put into `place`,
  /// if there is one and they do not lie elsewhere.
  const std::byte* values_of(const Extents& cell, std::span<std::byte> place);
  const std::byte* decode(const Extents& cell, const Extents& offset, std::span<std::byte> place);
  std::span<std::byte> read_stored(const Extents& cell, const Extents& offset, uint32_t& skipped);
  /// Reads a box of a chunk without filters; false if the chunk was never written.
  bool read_plain(const Extents& cell, const Box& source, std::byte* out, const Box& target,
                  const Extents& size);
  void read_plain_from(size_t axis, const ChunkPlace& place, const Box& source, std::byte* out,
                       const Box& target, const Extents& size);
  Extents corner_of(const Extents& cell) const;
  std::vector<std::byte> fill_value();
  /// For rows [first, first + count), with the chunk at `offset`.
  [[noreturn]] void fail_at(const Extents& offset, hsize_t first, hsize_t count,
                            const std::string& what) const;

  const Dataset& dataset_;
  size_t element_bytes_;
  Extents extents_, chunk_;
  std::optional<DType> dtype_;  ///< none: as stored
  size_t out_bytes_ = 0;
  Convert convert_ = nullptr;  ///< null: H5Tconvert(), if the values are to be converted
  filters::Scratch scratch_;
  filters::Buffer converted_;
  Extents cell_;  ///< of the chunk decoded last, in chunks; empty: none
  const std::byte* values_ = nullptr;
};

}  // namespace lockstep::hdf5
