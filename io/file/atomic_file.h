#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

/// A file that appears whole or not at all: it is written under a temporary name in the same folder
/// ("PATH.tmp-PID") and takes its own name only in commit(). Until then, and after any failure, whatever PATH
/// was stays; the temporary is removed by the destructor. Every error is Error(data) with the path and the
/// system's reason (no space left on device, permission denied, read-only file system, ...).
class AtomicFile {
 public:
  /// Creates the temporary file.
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  /// Flushes the file to the disk, renames it, and flushes the folder, so that the new name survives a power
  /// cut too.
  void commit();

 private:
  [[noreturn]] void fail_with_errno(const char* what) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

/// Replaces PATH by `text`, as AtomicFile does.
void write_text_atomically(const std::string& path, std::string_view text);

}  // namespace lockstep
