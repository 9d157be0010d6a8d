#include "io/dataset/source_files.h"

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string_view>

#include "src/core/error.h"

namespace lockstep {

namespace {

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// The number at the start of `text`, without leading zeros, which is removed from it.
std::string_view take_number(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && is_digit(text[end])) ++end;
  std::string_view number = text.substr(0, end);
  text.remove_prefix(end);
  number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
  return number;
}

}  // namespace

bool is_naturally_before(const std::string& left, const std::string& right) {
  std::string_view a = left, b = right;
  while (!a.empty() && !b.empty()) {
    if (is_digit(a[0]) && is_digit(b[0])) {
      const std::string_view x = take_number(a), y = take_number(b);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a[0] != b[0]) return a[0] < b[0];
      a.remove_prefix(1);
      b.remove_prefix(1);
    }
  }
  return a.empty() != b.empty() ? a.empty() : left < right;
}

namespace {

std::vector<std::string> matches_of(const std::string& pattern) {
  std::vector<std::string> files;
  glob_t found{};
  const int status = ::glob(pattern.c_str(), GLOB_ERR | GLOB_NOSORT, nullptr, &found);
  for (size_t i = 0; i < found.gl_pathc; ++i) files.emplace_back(found.gl_pathv[i]);
  ::globfree(&found);
  if (status == GLOB_NOMATCH || (status == 0 && files.empty()))
    fail(ExitCode::data, "{}: no file matches this pattern.", pattern);
  if (status != 0) fail(ExitCode::data, "{}: a folder of this pattern cannot be read.", pattern);
  std::ranges::sort(files, is_naturally_before);
  return files;
}

}  // namespace

std::vector<std::string> matching_files(const std::vector<std::string>& names) {
  std::vector<std::string> files;
  for (const std::string& name : names) {
    std::error_code status;
    if (name.find_first_of("*?[") == std::string::npos || std::filesystem::exists(name, status)) {
      files.push_back(name);
      continue;
    }
    const std::vector<std::string> matches = matches_of(name);
    files.insert(files.end(), matches.begin(), matches.end());
  }
  return files;
}

}  // namespace lockstep
