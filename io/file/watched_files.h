#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lockstep {

/// Attributes that show whether a file has changed.
struct FileState {
  uint64_t device = 0, inode = 0;
  int64_t bytes = 0;
  int64_t modified_ns = 0;  ///< since the epoch
  bool exists = false;

  static FileState of(const std::string& path);
  /// "its size went from 4000 to 0 bytes", or "" if nothing changed.
  std::string change_to(const FileState& now) const;
};

/// Files that must not change while they are read. Thread-safe.
class WatchedFiles {
 public:
  /// Records the current state of the files.
  explicit WatchedFiles(const std::vector<std::string>& paths);

  /// Throws Error(data) that says which file changed and how. Each call checks the next few files, because a
  /// virtual data set may have thousands.
  void require_unchanged() const;
  /// The same for all files.
  void require_all_unchanged() const;

 private:
  struct Watched {
    std::string path;
    FileState state;
  };
  static void require_unchanged(const Watched& file);

  std::vector<Watched> files_;
  mutable std::atomic<size_t> next_ = 0;
};

}  // namespace lockstep
