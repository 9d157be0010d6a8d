#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>

#include "io/checkpoint/checkpoint.h"
#include "io/file/atomic_file.h"
#include "src/core/error.h"
#include "src/core/log.h"

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

/// The contents of "latest"; "" if it does not exist.
std::string latest_name(const fs::path& folder) {
  std::string name;
  std::getline(std::ifstream(folder / "latest"), name);
  return name;
}

/// Warns if the checkpoint named by "latest" is missing. Throws Error(data) if all are missing, so that a run
/// whose checkpoints were lost is not silently started over.
void check_latest(const std::string& run_dir, const std::vector<std::string>& found) {
  const fs::path folder = checkpoint_folder(run_dir);
  const std::string name = latest_name(folder);
  if (!step_of(name) || std::ranges::find(found, (folder / name).string()) != found.end()) return;
  if (!found.empty())
    return log_warning("{} names {}, which is gone: {} is used in its place.", (folder / "latest").string(),
                       name, found[0]);
  std::error_code status;
  const std::string best = best_checkpoint_path(run_dir);
  fail(ExitCode::data,
       "{} names {}, but no checkpoint of this run is left. Put it back{}, or remove {} to start over.",
       (folder / "latest").string(), name,
       fs::exists(best, status) ? fmt::format(", resume from {}", best) : "", (folder / "latest").string());
}

/// Whether a name is that of an incomplete file: "best.h5.tmp-123", "latest.tmp-123".
bool is_half_written(const std::string& name) {
  const size_t mark = name.find(".tmp-");
  if (mark == std::string::npos) return false;
  const std::string target = name.substr(0, mark);
  return target == "latest" || target.ends_with(kSuffix);
}

/// Those of the step files, oldest first, that need not be kept once step `newest` is published.
std::vector<fs::path> superfluous(const std::vector<std::pair<int64_t, fs::path>>& files, int64_t newest,
                                  const KeepCheckpoints& keep) {
  std::vector<fs::path> result;
  const auto behind = std::ranges::find_if(files, [&](const auto& file) { return file.first > newest; });
  for (auto file = behind; file != files.end(); ++file) result.push_back(file->second);
  const auto recent = behind - std::min<std::ptrdiff_t>(std::max(keep.newest, 1), behind - files.begin());
  std::optional<fs::file_time_type> last_kept;
  for (auto file = files.begin(); file != recent; ++file) {
    std::error_code error;
    const fs::file_time_type time = fs::last_write_time(file->second, error);
    const std::chrono::duration<double> interval(60 * keep.every_minutes);
    if (keep.every_minutes > 0 && !error && (!last_kept || time - *last_kept >= interval))
      last_kept = time;
    else
      result.push_back(file->second);
  }
  return result;
}

}  // namespace

std::string checkpoint_path(const std::string& run_dir, int64_t step) {
  return (checkpoint_folder(run_dir) / fmt::format("{}{:08}{}", kPrefix, step, kSuffix)).string();
}

std::string best_checkpoint_path(const std::string& run_dir) {
  return (checkpoint_folder(run_dir) / "best.h5").string();
}

void publish_checkpoint(const std::string& run_dir, const std::string& path, const KeepCheckpoints& keep) {
  const fs::path folder = checkpoint_folder(run_dir);
  const std::string newest = fs::path(path).filename().string();
  write_text_atomically((folder / "latest").string(), newest + "\n");
  std::error_code ignored;
  for (const fs::path& file : superfluous(step_files(folder), step_of(newest).value_or(0), keep))
    fs::remove(file, ignored);
  // Incomplete files of killed processes; this process may be writing another file in another thread.
  const std::string own = fmt::format(".tmp-{}", ::getpid());
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    std::error_code gone;
    if (is_half_written(name) && !name.ends_with(own)) fs::remove(entry->path(), gone);
  }
}

std::vector<std::string> find_checkpoints(const std::string& run_dir) {
  const fs::path folder = checkpoint_folder(run_dir);
  std::vector<std::string> found;
  for (const auto& [step, path] : step_files(folder)) found.insert(found.begin(), path.string());
  const std::string name = latest_name(folder);
  // If "latest" does not name a checkpoint in the folder, it is ignored.
  const auto latest = std::ranges::find(found, (folder / name).string());
  if (latest != found.end()) std::rotate(found.begin(), latest, latest + 1);
  return found;
}

std::optional<LoadedCheckpoint> load_newest_checkpoint(const std::string& run_dir_or_file) {
  std::error_code error;
  if (!fs::is_directory(run_dir_or_file, error))
    return LoadedCheckpoint{run_dir_or_file, load_checkpoint(run_dir_or_file)};
  const std::vector<std::string> paths = find_checkpoints(run_dir_or_file);
  check_latest(run_dir_or_file, paths);
  std::vector<std::string> reasons;
  for (const std::string& path : paths) {
    try {
      LoadedCheckpoint loaded{path, load_checkpoint(path)};
      for (const std::string& reason : reasons) log_warning("{}", reason);
      if (!reasons.empty()) log_warning("{} is used in its place.", path);
      return loaded;
    } catch (const Error& damage) {
      if (damage.code() != ExitCode::data) throw;
      reasons.emplace_back(damage.what());
    }
  }
  if (reasons.empty()) return std::nullopt;
  if (reasons.size() == 1) fail(ExitCode::data, "{}", reasons[0]);
  fail(ExitCode::data, "{} None of the {} older ones in that folder can be read either.", reasons[0],
       reasons.size() - 1);
}

}  // namespace lockstep
