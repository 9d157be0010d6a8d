#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace lockstep {

/// What shows that a file is still the one that it was.
struct FileState {
  uint64_t device = 0, inode = 0;
  int64_t bytes = 0;
  int64_t modified_ns = 0;  ///< since the epoch
  bool exists = false;

  static FileState of(const std::string& path);
  /// "its size went from 4000 to 0 bytes", or "" when nothing changed.
  std::string change_to(const FileState& now) const;
};

/// Files that must stay as they were while they are read. Safe to use from several threads at once.
class WatchedFiles {
 public:
  /// Takes the state in which the files are now.
  explicit WatchedFiles(const std::vector<std::string>& paths);

  /// Throws Error(data) that says which file changed and how. Looks at a few files at a time, each in turn,
  /// because a virtual data set may have thousands.
  void require_unchanged() const;
  /// The same of all files.
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
