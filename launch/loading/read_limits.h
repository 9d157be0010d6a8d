#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

/// A rate at which bytes could reach a batch at best, counted one way.
struct ByteRate {
  double bytes_per_s = 0;           ///< of all threads together
  double cpu_seconds_per_byte = 0;  ///< which other programs hardly change
};

// Each of these rates keeps `threads` threads busy for about this many seconds; 0 threads count as one.

/// Copies from a source larger than the caches to the memory of a few batches, in pieces of a batch, as a
/// loader does that reads each batch from one piece of memory.
class MemoryCopy {
 public:
  explicit MemoryCopy(size_t batch_bytes);

  ByteRate copy(int threads, double seconds) const;
  /// The memory that this object holds.
  int64_t bytes() const;

 private:
  size_t batch_bytes_, source_bytes_;
  std::unique_ptr<std::byte[]> source_, batches_;
};

/// Reads files.
class FileReading {
 public:
  /// Throws Error(data) if a file cannot be opened or has no bytes.
  explicit FileReading(const std::vector<std::string>& paths);
  ~FileReading();
  FileReading(const FileReading&) = delete;
  FileReading& operator=(const FileReading&) = delete;

  /// Reads in stored order, each thread a part of its own, from wherever the bytes are: from the page cache,
  /// if they were read before. Starts again at the end of the files.
  ByteRate read_in_order(int threads, double seconds) const;
  /// Reads pieces of this size at random places, one call each.
  ByteRate read_scattered(int threads, double seconds, int64_t piece_bytes) const;
  /// Reads once with one thread, in stored order, from the start.
  ByteRate read_once(double seconds) const;
  /// Asks the system to drop the files from its page cache. It need not: tmpfs has no other place for them,
  /// and pages that another process has mapped stay. A server's cache is out of reach.
  void drop_from_page_cache() const;
  /// The part of the files' pages that is in the page cache; none if the system does not say.
  std::optional<double> cached_share() const;
  /// The memory that the reads above take.
  static int64_t bytes(int threads, int64_t piece_bytes);

 private:
  struct File {
    int descriptor;
    int64_t bytes;
  };
  /// A part of one file.
  struct Piece {
    int descriptor;
    int64_t offset, bytes;
  };
  static void read(const Piece& piece, std::byte* to);
  void append(const std::string& path);
  void close_all();

  std::vector<File> files_;
  std::vector<Piece> blocks_;  ///< all bytes, in stored order
};

}  // namespace lockstep
