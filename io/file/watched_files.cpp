#include "io/file/watched_files.h"

#include <sys/stat.h>

#include <algorithm>

#include "io/file/staged_copies.h"
#include "src/core/error.h"

namespace lockstep {

namespace {

constexpr size_t kLooksAtATime = 64;

}  // namespace

FileState FileState::of(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return {};
  return {static_cast<uint64_t>(status.st_dev), static_cast<uint64_t>(status.st_ino),
          static_cast<int64_t>(status.st_size),
          static_cast<int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec, true};
}

std::string FileState::change_to(const FileState& now) const {
  if (exists && !now.exists) return "it no longer exists";
  if (device != now.device || inode != now.inode) return "another file took its place";
  if (bytes != now.bytes) return fmt::format("its size went from {} to {} bytes", bytes, now.bytes);
  if (modified_ns != now.modified_ns) return "it was written to";
  return "";
}

WatchedFiles::WatchedFiles(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) files_.push_back({path, FileState::of(staged_place(path))});
}

void WatchedFiles::require_unchanged(const Watched& file) {
  const std::string change = file.state.change_to(FileState::of(staged_place(file.path)));
  if (!change.empty())
    fail(ExitCode::data,
         "{} changed after it was opened: {}. Data already read may not match the rest. Start again, or from "
         "a checkpoint, when no process writes to it.",
         file.path, change);
}

void WatchedFiles::require_unchanged() const {
  const size_t looks = std::min(kLooksAtATime, files_.size());
  const size_t first = next_.fetch_add(looks, std::memory_order_relaxed);
  for (size_t i = 0; i < looks; ++i) require_unchanged(files_[(first + i) % files_.size()]);
}

void WatchedFiles::require_all_unchanged() const {
  for (const Watched& file : files_) require_unchanged(file);
}

}  // namespace lockstep
