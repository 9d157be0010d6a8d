#pragma once

#include <memory>
#include <string>
#include <vector>

namespace lockstep {

/// Keeps every other process out of a run folder as long as it lives: a lock on FOLDER/lock, which the system
/// takes back when this process ends in whatever way, also where the folder is on NFS. The file says who
/// holds it. Where a file system has no locks, a warning says so, and only processes of the same machine are
/// kept out.
class RunLock {
 public:
  /// Makes the folder if it is not there. Null when another process holds it, whom `holder` then names:
  /// "process 71 on node3 since 2026-05-04 10:11:12 UTC". Throws Error(data) when the folder cannot be made
  /// or written.
  static std::unique_ptr<RunLock> try_take(const std::string& folder, std::string& holder);
  /// The same, but Error(usage) names the holder, when it still is one after `patience` seconds.
  static std::unique_ptr<RunLock> take(const std::string& folder, double patience);

  /// Removes the file, and those folders that this object made and that nobody put anything into.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  const std::string& folder() const { return folder_; }

 private:
  explicit RunLock(const std::string& folder) : folder_(folder) {}
  /// 0, or ENOENT when another process has meanwhile removed a folder on the way.
  int make_folder();
  bool try_lock(std::string& holder);

  std::string folder_;
  std::vector<std::string> made_;  ///< folders, the outermost first
  int descriptor_ = -1;
};

}  // namespace lockstep
