#pragma once

#include <hdf5.h>
#include <sys/uio.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/file/file_parts.h"
#include "io/hdf5/chunks/kept_places.h"

namespace lockstep {
class KeptFile;
}

namespace lockstep::hdf5 {

class Dataset;

/// Where the stored bytes of a chunk lie in its file.
struct ChunkPlace {
  uint64_t address = 0;  ///< from the beginning of the file; of values in raw files: of the first of these
  uint64_t bytes = 0;    ///< 0: the chunk was never written
  uint32_t skipped = 0;  ///< bit i: filter i was not applied to it
};

/// Where the chunks of a data set lie, or its contiguous values, as one chunk; and their bytes, read with
/// pread(). libhdf5 looks a chunk up, under its lock, when it is first needed; after that, neither takes the
/// lock. Safe to use from several threads. Must not outlive the data set, which keeps the file open.
class ChunkMap {
 public:
  /// Null if libhdf5 has to read the values: they are virtual or in the header; contiguous and never written;
  /// in raw files one of which cannot be opened; or in a file that read_driver() does not read, because this
  /// process writes it, it lives in memory, or $HDF5_DRIVER says otherwise.
  static std::shared_ptr<ChunkMap> of(const Dataset& dataset);

  /// place: of contiguous values. parts: of the values if they lie in raw files, of the whole file if it is a
  /// family; null: the descriptor's file holds them.
  ChunkMap(const Dataset& dataset, int descriptor, std::optional<ChunkPlace> place,
           std::shared_ptr<const FileParts> parts = nullptr);
  /// Writes the table that keep() wants, unless that fails: the next run looks chunks up again.
  ~ChunkMap();
  ChunkMap(const ChunkMap&) = delete;
  ChunkMap& operator=(const ChunkMap&) = delete;

  /// Whether there are so many chunks that looking them up takes a noticeable time.
  bool is_large() const { return entries_ >= kManyEntries; }
  /// Of a large map, before other threads use it: takes the places that an earlier run left in `folder` for
  /// the same file, if that has not changed since, and leaves those there that are known at the end, if many
  /// of them are new. memory: entries() ChunkEntry, which begin with zeros and may be shared with other
  /// processes: a chunk is then looked up in one of them, and one of them takes what an earlier run left, as
  /// `loads` says; null: an own table.
  void keep(const PlacesFolder& folder, std::shared_ptr<std::byte[]> memory, bool loads);
  size_t entries() const { return entries_; }

  /// The open file in which places are; -1 if that is several, raw files or a family.
  int descriptor() const { return parts_ ? -1 : descriptor_; }
  /// The place of the chunk in `cell`, counted in chunks along each axis. Throws Error(data) if the index is
  /// damaged, filters::BadChunk if the entry is.
  ChunkPlace find(const std::vector<hsize_t>& cell) const;
  /// Reads stored bytes [first, first + out.size()) of a chunk. Throws filters::BadChunk if the file ends
  /// before them, and Error(data) if the disk or server fails.
  void read(const ChunkPlace& place, uint64_t first, std::span<std::byte> out) const;
  /// The same into several pieces of memory, which are modified.
  void read(const ChunkPlace& place, uint64_t first, std::span<iovec> pieces) const;
  /// The same if it need not wait; else returns false, also if the file system cannot tell, or of values in
  /// several files, and may have read a part. Does not modify `pieces`.
  bool read_cached(const ChunkPlace& place, uint64_t first, std::span<const iovec> pieces) const;
  /// Lets the system start to read these stored bytes of a chunk.
  void ask_for(const ChunkPlace& place, uint64_t first, uint64_t count) const;

 private:
  static constexpr size_t kManyEntries = size_t{1} << 16;

  ChunkPlace look_up(const std::vector<hsize_t>& cell) const;
  void look_up_beside(size_t index) const;
  size_t count_known() const;
  PlacesOwner owner() const;
  [[noreturn]] void fail_reading(const std::string& problem, uint64_t offset) const;

  hid_t dataset_;
  std::string file_, name_;
  int descriptor_;
  std::shared_ptr<const FileParts> parts_;  ///< in place of the descriptor, if not null
  std::shared_ptr<KeptFile> copy_;          ///< the file's copy, through which it is read; null: none
  std::vector<hsize_t> chunk_, cells_;      ///< elements per chunk, and chunks, along each axis
  std::optional<ChunkPlace> contiguous_;
  /// One entry per chunk, in row-major order, in memory that takes no room until it is touched. Null if the
  /// data set claims so many that chunks are looked up each time.
  std::shared_ptr<ChunkEntry[]> table_;
  size_t entries_ = 0;
  std::string places_path_;   ///< file of keep() to be written; empty: none
  PlacesOwner places_owner_;  ///< when keep() was called
  size_t known_before_ = 0;   ///< places in the file
};

}  // namespace lockstep::hdf5
