#pragma once

#include <memory>
#include <string>
#include <vector>

namespace lockstep {

/// Exclusive access to a run folder for the lifetime of the object: a lock on FOLDER/lock, which the system
/// releases however this process ends, on NFS too. The file names the holder. If the file system does not
/// support locks, a warning says so, and only processes of the same machine are excluded.
class RunLock {
 public:
  /// Creates the folder if it does not exist. Returns null if another process holds it, and describes that
  /// process in `holder`: "process 71 on node3 since 2026-05-04 10:11:12 UTC". Throws Error(data) if the
  /// folder cannot be created or written to.
  static std::unique_ptr<RunLock> try_take(const std::string& folder, std::string& holder);
  /// The same, but throws Error(usage) naming the holder if the folder is still locked after `patience`
  /// seconds.
  static std::unique_ptr<RunLock> take(const std::string& folder, double patience);

  /// Removes the file, and those of the folders created by this object that are empty.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  const std::string& folder() const { return folder_; }

 private:
  explicit RunLock(const std::string& folder) : folder_(folder) {}
  /// 0, or ENOENT if another process has meanwhile removed a parent folder.
  int make_folder();
  bool try_lock(std::string& holder);

  std::string folder_;
  std::vector<std::string> made_;  ///< folders created, outermost first
  int descriptor_ = -1;
};

}  // namespace lockstep
