#include "models/file/toml_advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <sstream>

#include "src/core/text/trimmed.h"

namespace lockstep {

namespace {

constexpr const char* kDigits = "0123456789";

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string advice_on_value(const std::string& key, const std::string& value) {
  if (value.empty()) return ". A value is missing behind '='";
  const char first = value.front();
  if (first == '"' && value.find('\\') != std::string::npos)
    return ". A backslash in double quotes begins an escape: write \\\\, or put the text in single quotes";
  if ((first == '"' || first == '\'') && (value.size() < 2 || value.back() != first))
    return ". Is the closing quote missing?";
  if (const std::string meant = likely_meant(value); !meant.empty()) return meant;
  if (std::isalpha(static_cast<unsigned char>(first)) != 0 || first == '/' || first == '~' || first == '*')
    return fmt::format(". Text goes in quotes: {} = \"{}\"", key, value);
  return "";
}

}  // namespace

std::string likely_meant(const std::string& text) {
  const size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  const size_t point = std::min(text.find_first_not_of(kDigits, sign), text.size());
  if (point == text.size() && point - sign > 18) return fmt::format(". The largest integer is {}", INT64_MAX);
  if (point < text.size() && (text[point] == '.' || text[point] == ',')) {
    const size_t end = std::min(text.find_first_not_of(kDigits, point + 1), text.size());
    const std::string whole = text.substr(0, point), part = text.substr(point + 1, end - point - 1);
    const bool number =
        (point > sign || !part.empty()) && (end == text.size() || text[end] == 'e' || text[end] == 'E');
    if (number)
      return fmt::format(". Write {}{}.{}{} for {}", whole, point > sign ? "" : "0",
                         part.empty() ? "0" : part, text.substr(end), text);
  }
  for (const char* word : {"true", "yes", "on"})
    if (lower(text) == word) return fmt::format(". Write true for {}", text);
  for (const char* word : {"false", "no", "off"})
    if (lower(text) == word) return fmt::format(". Write false for {}", text);
  return "";
}

std::string toml_advice(const std::string& text, size_t number) {
  if (text.starts_with("\x89HDF")) return ". This is an HDF5 file, where a TOML file is expected";
  if (text.find('\0') != std::string::npos) return ". This is not a text file";
  std::istringstream lines(text);
  std::string line;
  for (size_t i = 0; i < number; ++i) std::getline(lines, line);
  line = trimmed(line.substr(0, line.find('#')));
  if (line.starts_with('{')) return ". This looks like JSON: a TOML file holds [section] and key = value";
  const size_t equals = line.find('='), colon = line.find(':');
  if (colon != std::string::npos && colon < equals)
    return ". This looks like YAML: a TOML file holds [section] and key = value";
  if (equals == std::string::npos) return "";
  return advice_on_value(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)));
}

}  // namespace lockstep
