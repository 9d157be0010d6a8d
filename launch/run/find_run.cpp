#include "launch/run/find_run.h"

#include <fmt/format.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

bool is_run(const fs::path& folder) {
  std::error_code status;
  return fs::is_directory(folder / "checkpoints", status);
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code status;
  for (fs::directory_iterator at(folder, status), end; !status && at != end; at.increment(status))
    if (std::error_code ignored; at->is_directory(ignored)) folders.push_back(at->path());
  return folders;
}

std::vector<fs::path> runs_in(const fs::path& folder) {
  std::vector<fs::path> runs = folders_in(folder);
  std::erase_if(runs, [](const fs::path& each) { return !is_run(each); });
  return runs;
}

/// The run with the newest checkpoint; "" if there are none.
fs::path newest(const std::vector<fs::path>& runs) {
  std::pair<fs::file_time_type, fs::path> best{fs::file_time_type::min(), ""};
  for (const fs::path& run : runs) {
    std::error_code status;
    const auto written = fs::last_write_time(run / "checkpoints", status);
    if (!status && written > best.first) best = {written, run};
  }
  return best.second;
}

fs::path run_around(const fs::path& path) {
  fs::path at = path.has_filename() ? path.parent_path() : path.parent_path().parent_path();
  for (int level = 0; level < 2 && !at.empty(); ++level, at = at.parent_path())
    if (is_run(at)) return at;
  return "";
}

fs::path run_below(const fs::path& path) {
  std::vector<fs::path> runs = runs_in(path);
  for (const fs::path& folder : folders_in(path))
    for (const fs::path& run : runs_in(folder)) runs.push_back(run);
  return newest(runs);
}

fs::path run_named_like(const fs::path& path) {
  const std::string name = path.has_filename() ? path.filename() : path.parent_path().filename();
  for (const fs::path& folder : {path.parent_path(), fs::path("runs")}) {
    std::vector<std::string> names;
    for (const fs::path& run : runs_in(folder.empty() ? "." : folder)) names.push_back(run.filename());
    if (const std::string meant = meant_name(name, names); !meant.empty()) return folder / meant;
  }
  return "";
}

}  // namespace

std::string run_suggestion(const std::string& path) {
  std::error_code status;
  fs::path meant = run_around(path);
  if (meant.empty() && fs::is_directory(path, status)) meant = run_below(path);
  if (meant.empty() && !fs::exists(path, status)) meant = run_named_like(path);
  return meant.empty() ? "" : fmt::format(". Did you mean '{}'?", meant.string());
}

}  // namespace lockstep
