#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "io/file/watched_files.h"

namespace lockstep {

/// A copy of parts of a file, on storage of this machine, that grows as the file is read: a part that is read
/// for the first time is read from the file and written to the copy, and from then on read from the copy. The
/// copy is a file with holes; PATH.log lists the pieces in it with their checksums (XXH3), so that the next
/// process can use them. Several threads and processes may do this at once; processes that share the table of
/// pieces write each once. If the copy can no longer be written, for example because the
/// disk is full, a warning says so, and what is missing is read from the original.
class KeptFile {
 public:
  static constexpr int64_t kPieceBytes = int64_t{16} << 10;
  static int64_t pieces_of(int64_t bytes) { return (bytes + kPieceBytes - 1) / kPieceBytes; }

  /// What the processes of a machine share; at first zeros.
  struct Table {
    std::span<uint8_t> pieces;  ///< of the file: whether the copy has it
    uint32_t* is_closed;        ///< nonzero: nothing more is written
  };

  /// Creates the copy at `path`, or finds out which of its pieces are good, and enters them in `table`. A
  /// copy of an earlier state of the file is discarded. Throws Error(data).
  static void prepare(const std::string& original, const std::string& path, const Table& table, int threads);

  /// Opens the copy that prepare() has made. Throws Error(data) if it is of another state of the file.
  KeptFile(std::string original, std::string path, const Table& table);
  ~KeptFile();
  KeptFile(const KeptFile&) = delete;
  KeptFile& operator=(const KeptFile&) = delete;

  const FileState& original() const { return state_; }
  /// Like read_at(). descriptor: of the original. Thread-safe.
  std::string read(int descriptor, int64_t offset, std::span<iovec> out);
  /// Whether the copy has all bytes [offset, offset + count).
  bool has(int64_t offset, int64_t count) const;
  int copy_descriptor() const { return copy_; }
  int64_t kept_bytes() const;
  /// Bytes that this process has read so far.
  int64_t read_from_copy() const { return from_copy_; }
  int64_t read_from_original() const { return from_original_; }

 private:
  void keep(int64_t first_piece, std::span<const std::byte> bytes);
  bool append_to_log(std::span<const std::byte> records);
  void close_copy();
  std::string read_copy(int64_t offset, std::span<iovec> out);

  std::string path_;
  FileState state_;
  Table table_;
  int copy_ = -1, log_ = -1;
  std::atomic<int64_t> from_copy_ = 0, from_original_ = 0;
};

/// Lets this process read the file through its copy, wherever it is opened from now on, until the result is
/// destroyed; readers that have opened it by then go on. Thread-safe.
std::shared_ptr<void> use_kept_file(std::shared_ptr<KeptFile> copy);

/// The copy through which the open file is to be read; null: none.
std::shared_ptr<KeptFile> kept_file(int descriptor);

/// read_at() of an open file, through its copy unless that is null.
std::string read_through(KeptFile* copy, int descriptor, int64_t offset, std::span<iovec> out);
std::string read_through(KeptFile* copy, int descriptor, int64_t offset, std::span<std::byte> out);

}  // namespace lockstep
