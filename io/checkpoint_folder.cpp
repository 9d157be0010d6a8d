#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "src/core/error.h"

namespace fs = std::filesystem;

namespace lockstep {

namespace {

constexpr std::string_view kPrefix = "step-", kSuffix = ".h5";

fs::path checkpoint_folder(const std::string& run_dir) { return fs::path(run_dir) / "checkpoints"; }

/// The step in "step-XXXXXXXX.h5", or nothing for any other name.
std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  const char* begin = name.data() + kPrefix.size();
  const char* end = name.data() + name.size() - kSuffix.size();
  int64_t step = 0;
  const auto [parsed, error] = std::from_chars(begin, end, step);
  if (error != std::errc() || parsed != end || step < 0) return std::nullopt;
  return step;
}

/// The step files of a folder, oldest first; none if there is no such folder.
std::vector<std::pair<int64_t, fs::path>> step_files(const fs::path& folder) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (const auto step = step_of(entry->path().filename().string()))
      found.emplace_back(*step, entry->path());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::string checkpoint_path(const std::string& run_dir, int64_t step) {
  return (checkpoint_folder(run_dir) / fmt::format("{}{:08}{}", kPrefix, step, kSuffix)).string();
}

std::string best_checkpoint_path(const std::string& run_dir) {
  return (checkpoint_folder(run_dir) / "best.h5").string();
}

void publish_checkpoint(const std::string& run_dir, const std::string& path, int keep) {
  const fs::path folder = checkpoint_folder(run_dir);
  const std::string newest = fs::path(path).filename().string();
  write_text_atomically((folder / "latest").string(), newest + "\n");

  // A run that went on from an older checkpoint leaves files with higher numbers behind; the one just
  // published stays whatever its number.
  auto files = step_files(folder);
  std::erase_if(files, [&](const auto& file) { return file.second.filename() == newest; });
  const size_t others = static_cast<size_t>(std::max(keep - 1, 0));
  std::error_code ignored;
  for (size_t i = 0; i + others < files.size(); ++i) fs::remove(files[i].second, ignored);
  // What killed processes left half written; this one may be writing another file on another thread.
  const std::string own = fmt::format(".tmp-{}", ::getpid());
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    std::error_code gone;
    if (name.find(".h5.tmp-") != std::string::npos && !name.ends_with(own)) fs::remove(entry->path(), gone);
  }
}

std::string find_checkpoint(const std::string& run_dir_or_file) {
  std::error_code error;
  if (!fs::is_directory(run_dir_or_file, error)) return run_dir_or_file;
  const fs::path folder = checkpoint_folder(run_dir_or_file);
  std::ifstream latest(folder / "latest");
  if (std::string name; std::getline(latest, name) && !name.empty() && fs::exists(folder / name, error))
    return (folder / name).string();
  const auto files = step_files(folder);
  return files.empty() ? "" : files.back().second.string();
}

}  // namespace lockstep
