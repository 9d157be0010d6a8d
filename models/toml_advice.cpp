#include "models/toml_advice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <sstream>

namespace lockstep {

namespace {

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

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
  const std::string word = lower(value);
  if (word == "true" || word == "false") return fmt::format(". Write {} in lower case", word);
  if (std::isalpha(static_cast<unsigned char>(first)) != 0 || first == '/' || first == '~' || first == '*')
    return fmt::format(". Text goes in quotes: {} = \"{}\"", key, value);
  return "";
}

}  // namespace

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
