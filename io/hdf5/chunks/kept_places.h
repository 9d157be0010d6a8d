#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace lockstep::hdf5 {

/// Where a chunk lies, in a table with an entry for each chunk of a data set in row-major order.
struct ChunkEntry {
  uint64_t address = 0;  ///< from the beginning of the file; 0: not looked up, kUnwritten: no such chunk
  uint32_t bytes = 0;    ///< as stored
  uint32_t skipped = 0;  ///< bit i: filter i was not applied to it

  /// No chunk lies in a file's first bytes.
  static constexpr uint64_t kUnwritten = 1;
};

/// An entry that other threads and processes may be setting meanwhile; zeros if it is not known.
ChunkEntry known_entry(ChunkEntry& entry);
/// Sets an entry that they may be reading meanwhile.
void set_entry(ChunkEntry& entry, const ChunkEntry& known);

/// A folder in which tables are kept for later runs.
struct PlacesFolder {
  std::string path = "";  ///< empty: none; where it does not exist, it is created if its parent exists
  bool saves = false;     ///< whether this process writes tables there
};

/// What a table belongs to: it says nothing about any other file or data set, or this one after a change.
struct PlacesOwner {
  uint64_t inode = 0;
  int64_t bytes = 0, modified_ns = 0, changed_ns = 0;  ///< of the file; times since the epoch
  uint64_t data_set = 0;                               ///< hash of its name, extents and chunks
  uint64_t entries = 0;

  bool operator==(const PlacesOwner&) const = default;
};

/// Writes a table to a file, atomically. Throws Error(data) if that fails.
void write_places(const std::string& path, const PlacesOwner& owner, std::span<ChunkEntry> table);

/// Reads a table of this owner into `table`, which has owner.entries entries, all 0. False, with the table as
/// it was, if there is no such file, it belongs to another owner, its checksum is wrong, or a place lies
/// outside the owner's file: then chunks are looked up.
bool read_places(const std::string& path, const PlacesOwner& owner, std::span<ChunkEntry> table);

}  // namespace lockstep::hdf5
