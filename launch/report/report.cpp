#include "launch/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "src/core/text/printable.h"

namespace lockstep {

std::string readable_count(int64_t count) {
  const std::string digits = std::to_string(count);
  const size_t sign = digits.starts_with('-') ? 1 : 0;
  std::string text;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > sign && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string readable_decimal(int64_t count, const std::string& unit) {
  static constexpr const char* kPrefixes[] = {"", "K", "M", "G", "T", "P"};
  double amount = static_cast<double>(count);
  size_t prefix = 0;
  while (amount >= 1000 && prefix + 1 < std::size(kPrefixes)) {
    amount /= 1000;
    ++prefix;
  }
  const std::string number = prefix == 0 ? fmt::format("{}", count) : fmt::format("{:.1f}", amount);
  return prefix == 0 && unit.empty() ? number : fmt::format("{} {}{}", number, kPrefixes[prefix], unit);
}

std::string wrapped(const std::string& text, size_t indent) {
  std::istringstream words(text);
  std::string out, line(indent, ' ');
  for (std::string word; words >> word;) {
    if (line.size() > indent && line.size() + 1 + word.size() > 80) {
      out += line + "\n";
      line.assign(indent, ' ');
    }
    line += (line.size() > indent ? " " : "") + word;
  }
  return out + line + "\n";
}

void Report::section(const std::string& name) {
  section_ = name;
  lines_.push_back({name, "", true});
  json_[section_] = Json::object();
}

void Report::fact(const std::string& name, const std::string& text, const std::string& key,
                  const Json& json) {
  line(name, text);
  value(key, json);
}

void Report::line(const std::string& name, const std::string& text) { lines_.push_back({name, text, false}); }

void Report::value(const std::string& key, const Json& json) { json_[section_][key] = json; }

void Report::print(bool json) const {
  if (json) return print_json(json_);
  constexpr size_t kText = 20;  // column of the texts
  std::string out;
  for (const Line& line : lines_) {
    if (line.heading) {
      out += fmt::format("{}{}\n", out.empty() ? "" : "\n", line.name);
      continue;
    }
    // The name takes the place of the first line's indent.
    std::string text = wrapped(line.text, kText);
    text.replace(0, kText, fmt::format("  {:<{}}", line.name, kText - 2));
    out += text;
  }
  write_lines(stdout, out);
}

void print_table(const std::vector<std::vector<std::string>>& raw_rows, const std::vector<bool>& right) {
  std::vector<std::vector<std::string>> rows = raw_rows;
  for (auto& row : rows) {
    for (std::string& cell : row) cell = printable(cell);
  }
  std::vector<size_t> widths(right.size(), 0);
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      if (c > 0) line += "  ";
      line += right[c] ? fmt::format("{:>{}}", row[c], widths[c]) : fmt::format("{:<{}}", row[c], widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    write_lines(stdout, line + "\n");
  }
}

void print_json(const Json& json) { write_text(stdout, to_text(json, 2) + "\n"); }

}  // namespace lockstep
