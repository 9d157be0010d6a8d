#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "io/file/temporary_files.h"

namespace lockstep {

/// A file that appears complete or not at all: it is written under a temporary name in the same folder
/// ("PATH.tmp-PID") and renamed in commit(). Until then, and after any failure, an existing PATH stays as it
/// was; the destructor removes the temporary file. Every error is Error(data) with the path and the system's
/// reason (no space left on device, permission denied, read-only file system, ...).
class AtomicFile {
 public:
  /// Creates the temporary file.
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  /// Flushes the file to disk, renames it, and flushes the folder, so that the new name survives a power
  /// failure.
  void commit();

 private:
  [[noreturn]] void fail_with_errno(const char* what) const;

  std::string path_;
  std::string temporary_;
  TemporaryFile noted_;
  int descriptor_ = -1;
};

/// Replaces the contents of a file by `text`, atomically.
void write_text_atomically(const std::string& path, std::string_view text);

}  // namespace lockstep
