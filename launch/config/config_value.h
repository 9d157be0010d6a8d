#pragma once

#include <fmt/core.h>

#include <toml++/toml.h>
#include <string>
#include <utility>
#include <vector>

#include "src/core/error.h"

namespace lockstep {

/// A config value as given by the user, with its origin.
struct GivenValue {
  const toml::node& node;
  std::string key;     ///< "train.epochs"
  std::string where;   ///< "FILE:LINE: " or "--set "
  std::string folder;  ///< the base of relative paths
  std::string raw;     ///< the text after "=" of a --set; empty for a file

  /// Throws Error(usage) with the origin, the key and what is wrong with its value.
  template <typename... Args>
  [[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ExitCode::usage, "{}{}: {}", where, key, fmt::format(format, std::forward<Args>(args)...));
  }
  /// The same for one key of a table's value.
  GivenValue member(const std::string& name, const toml::node& value) const {
    return {value, key + "." + name, where, folder, ""};
  }
};

/// Throws Error(usage) for an unknown member `name` of a table, suggesting one of `known`.
[[noreturn]] void reject_member(const GivenValue& given, const std::string& name,
                                const std::vector<std::string>& known);

/// Whether the value is this word, in a file or on the command line.
bool is_word(const GivenValue& given, const std::string& word);

/// Conversions of a value. Each rejects a value of another type, with what was expected and found.
bool read_flag(const GivenValue& given);
int64_t read_integer(const GivenValue& given);
double read_number(const GivenValue& given);
/// A bare --set value is text even if it is another type in TOML: --set run.name=2024 names a run.
std::string read_text(const GivenValue& given);
/// The absolute path, without "." and "..".
std::string read_path(const GivenValue& given);
/// Bytes: an integer, or a text such as "4 GiB", "512MiB", "1.5 GB".
int64_t read_bytes(const GivenValue& given);

/// "text", "an integer": the type of a value, in words.
std::string kind_in_words(const toml::node& node);

/// Values as TOML text.
std::string toml_text(bool value);
std::string toml_text(int64_t value);
std::string toml_text(double value);
std::string toml_text(const std::string& value);

/// `path` relative to `folder`, as an absolute path without "." and "..".
std::string absolute_path(const std::string& path, const std::string& folder);

}  // namespace lockstep
