#pragma once

#include <string>

namespace lockstep {

/// Creates the folder of data.stage if it is missing, but none above it. Throws Error(data).
void create_stage_folder(const std::string& folder);

/// Where the copy of a file lies in the folder. Files of one name in different folders have different copies.
std::string stage_path(const std::string& file, const std::string& folder);

/// Holds the folder against other processes that stage to it, which it waits for.
class StageFolderLock {
 public:
  /// Throws Error(data) if the folder cannot be written to.
  explicit StageFolderLock(const std::string& folder);
  ~StageFolderLock();
  StageFolderLock(const StageFolderLock&) = delete;
  StageFolderLock& operator=(const StageFolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// The path without links, or the path itself if there is no such file.
std::string full_path(const std::string& file);

}  // namespace lockstep
