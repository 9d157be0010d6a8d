#include "launch/config/config_value.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "launch/config/familiar_values.h"
#include "models/file/toml_advice.h"
#include "src/core/text/suggest.h"

namespace lockstep {

std::string kind_in_words(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

namespace {

/// Whether a text is itself a number, true or false.
bool holds_a_value(const std::string& text) {
  if (text.find_first_of("\r\n#") != std::string::npos) return false;
  try {
    const toml::table parsed = toml::parse("value = " + text);
    const toml::node& value = *parsed.get("value");
    return value.is_number() || value.is_boolean();
  } catch (const toml::parse_error&) {
    return false;
  }
}

/// The end of a message about text where another type was expected.
std::string hint(const GivenValue& given) {
  const auto* text = given.node.as_string();
  if (text == nullptr) return "";
  if (!holds_a_value(text->get())) return likely_meant(text->get());
  return fmt::format(" in quotes. Write {} = {}, without quotes", given.key.substr(given.key.rfind('.') + 1),
                     text->get());
}

}  // namespace

bool is_word(const GivenValue& given, const std::string& word) {
  return given.raw == word || given.node.value<std::string>() == word;
}

void reject_member(const GivenValue& given, const std::string& name, const std::vector<std::string>& known) {
  given.reject("unknown key '{}'{}", name, suggestion(name, known, value_synonyms(given.key)));
}

bool read_flag(const GivenValue& given) {
  if (const auto* value = given.node.as_boolean()) return value->get();
  given.reject("expects true or false, found {}{}", kind_in_words(given.node), hint(given));
}

int64_t read_integer(const GivenValue& given) {
  if (const auto* value = given.node.as_integer()) return value->get();
  given.reject("expects an integer, found {}{}", kind_in_words(given.node), hint(given));
}

double read_number(const GivenValue& given) {
  if (const auto* value = given.node.as_integer()) return static_cast<double>(value->get());
  const auto* value = given.node.as_floating_point();
  if (value == nullptr) given.reject("expects a number, found {}{}", kind_in_words(given.node), hint(given));
  if (!std::isfinite(value->get())) given.reject("expects a finite number");
  return value->get();
}

std::string read_text(const GivenValue& given) {
  if (const auto* value = given.node.as_string()) return value->get();
  if (!given.raw.empty()) return given.raw;
  given.reject("expects text in quotes, found {}", kind_in_words(given.node));
}

std::string absolute_path(const std::string& path, const std::string& folder) {
  return (std::filesystem::absolute(folder.empty() ? "." : folder) / path).lexically_normal().string();
}

std::string read_path(const GivenValue& given) {
  const std::string path = read_text(given);
  return path.empty() ? path : absolute_path(path, given.folder);
}

int64_t read_bytes(const GivenValue& given) {
  if (given.node.is_integer()) {
    const int64_t bytes = read_integer(given);
    if (bytes < 0) given.reject("must not be negative, is {}", bytes);
    return bytes;
  }
  if (!given.node.is_string())
    given.reject("expects bytes as an integer or text such as \"4 GiB\", found {}",
                 kind_in_words(given.node));
  const std::string text = read_text(given);
  static constexpr std::pair<const char*, double> kUnits[] = {
      {"B", 1},      {"KB", 1e3},     {"MB", 1e6},     {"GB", 1e9},    {"TB", 1e12},
      {"KiB", 1024}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  double amount = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), amount);
  std::string unit(static_cast<const char*>(end), text.data() + text.size());
  unit.erase(0, unit.find_first_not_of(' ') == std::string::npos ? unit.size() : unit.find_first_not_of(' '));
  if (status == std::errc{} && amount >= 0) {
    for (const auto& [name, factor] : kUnits) {
      if (unit == name && amount * factor < 0x1p62) return static_cast<int64_t>(amount * factor);
    }
  }
  given.reject("\"{}\" is not a size: write a number and B, KiB, MiB, GiB or TiB, for example \"4 GiB\"",
               text);
}

std::string toml_text(bool value) { return value ? "true" : "false"; }

std::string toml_text(int64_t value) { return std::to_string(value); }

std::string toml_text(double value) {
  // The shortest text that reads back to the same bits. In TOML a float needs a point or an exponent.
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string toml_text(const std::string& value) {
  std::ostringstream out;
  out << toml::toml_formatter{toml::value<std::string>{value}, toml::format_flags::none};
  return out.str();
}

}  // namespace lockstep
