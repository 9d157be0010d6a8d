#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "src/core/console.h"
#include "src/core/text/json.h"
#include "src/core/text/readable_bytes.h"

namespace lockstep {

using Json = nlohmann::ordered_json;

/// "1,199,882".
std::string readable_count(int64_t count);

/// With decimal prefixes: "4.1 GFLOP" or, without a unit, "4.1 G"; "512 FLOP".
std::string readable_decimal(int64_t count, const std::string& unit = "");

/// The text wrapped to 80 columns, each line indented and ended by a line feed.
std::string wrapped(const std::string& text, size_t indent);

/// Named facts in sections: printed for people as aligned lines of at most 80 columns, or for programs as
/// JSON.
class Report {
 public:
  void section(const std::string& name);
  /// `text` for people; `value` for programs, under `key`.
  void fact(const std::string& name, const std::string& text, const std::string& key, const Json& value);
  /// A line for people only, and a value for programs only, in the current section.
  void line(const std::string& name, const std::string& text);
  void value(const std::string& key, const Json& value);
  void print(bool json) const;

 private:
  struct Line {
    std::string name, text;
    bool heading = false;
  };
  std::vector<Line> lines_;
  Json json_ = Json::object();
  std::string section_;
};

/// A table for people: the first row is the heading; columns are as wide as their longest cell, and those in
/// `right` (one flag per column) are aligned to the right.
void print_table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right);

/// Text for people on standard output; see write_lines.
template <typename... Args>
void print_text(fmt::format_string<Args...> format, Args&&... args) {
  write_lines(stdout, fmt::format(format, std::forward<Args>(args)...));
}

/// One JSON document on standard output, indented.
void print_json(const Json& json);

}  // namespace lockstep
