#include "io/dataset/meant_path.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

bool is_file(const std::string& path) {
  std::error_code status;
  return fs::is_regular_file(path, status);
}

}  // namespace

std::string similar_file(const std::string& text) {
  const fs::path path = text;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::vector<std::string> names;
  std::error_code status;
  for (fs::directory_iterator at(folder, status), end; !status && at != end; at.increment(status))
    if (std::error_code ignored; at->is_regular_file(ignored))
      names.push_back(at->path().filename().string());
  std::ranges::sort(names);
  const std::string meant = meant_name(path.filename().string(), names);
  return meant.empty() ? "" : (path.parent_path() / meant).string();
}

std::string advice_on_missing(const std::string& path) {
  // "a.h5:train" and "a.h5/train" were meant as "a.h5:/train".
  for (size_t at = path.find_first_of(":/", 1); at != std::string::npos;
       at = path.find_first_of(":/", at + 1)) {
    const std::string file = path.substr(0, at);
    if (is_file(file)) return fmt::format("A group follows ':/': write {}:/{}.", file, path.substr(at + 1));
  }
  if (path.find("/~") != std::string::npos || path.starts_with('~') || path.find('$') != std::string::npos)
    return "'~' and '$' are only understood by a shell: write the whole path.";
  if (const std::string meant = similar_file(path); !meant.empty())
    return fmt::format("Did you mean '{}'?", meant);
  return "";
}

}  // namespace lockstep
