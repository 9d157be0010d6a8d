#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

struct StageOptions {
  std::string folder;  ///< on node-local storage; created if missing
  int threads = 4;     ///< that copy
  /// Called as bytes are copied or found to be there, with those of all files; by several threads, one at a
  /// time.
  std::function<void(int64_t done, int64_t all)> progress = nullptr;
};

struct StageResult {
  int64_t bytes = 0;   ///< of all files
  int64_t copied = 0;  ///< bytes that were not there before
};

/// Copies files to a folder, each under a name made of its own and of a hash of its full path, and nothing
/// else there is touched. A copy appears complete or not at all, when what was written has been read again
/// and has the checksum (XXH3) of what was read. An interrupted copy is continued: its pieces whose checksums
/// agree are kept. A finished one is kept if its size and time of modification are still those recorded
/// beside it, and the original's are. Another process that stages to the folder meanwhile is waited for.
/// Throws Error(data) with numbers if the file system has too little room for what is missing, which is known
/// before anything is copied, or if a file changes meanwhile.
StageResult stage_files(const std::vector<std::string>& files, const StageOptions& options);

/// The finished copy of a file that stage_files() has put into the folder; none if there is none of the file
/// as it is now.
std::optional<std::string> staged_copy(const std::string& file, const std::string& folder);

/// Whether one of these data sets has values in other files too, by external links, virtual data sets or raw
/// files, or because the file is a family. A copy of the file alone could not be read. Throws Error(data) if
/// one is missing.
bool needs_other_files(const std::string& file, const std::vector<std::string>& names);

}  // namespace lockstep
