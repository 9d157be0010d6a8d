#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>

// Most of the JSON library's templates are compiled once, in json.cpp: a file that parses takes four times as
// long to compile as one that only includes the library.
extern template class nlohmann::basic_json<>;
extern template class nlohmann::basic_json<nlohmann::ordered_map>;

namespace lockstep {

/// Parses a document. Throws nlohmann::json::parse_error, which names the position, if it is not JSON.
nlohmann::json parse_json(std::string_view text);
/// The same without an exception: is_discarded() of the result says that it is not JSON.
nlohmann::json try_parse_json(std::string_view text);

/// Why parse_strict_json() refuses a document that is JSON.
struct JsonRefusal : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// Parses a document that may be hostile. Throws what parse_json() does, and JsonRefusal if an object has a
/// name twice, of which JSON libraries keep one or the other, or if there are more than `max_depth` levels.
nlohmann::json parse_strict_json(std::string_view text, int max_depth);

/// The text of a value: on one line, or with each level indented by `indent` spaces. Bytes that are not
/// UTF-8 become U+FFFD.
std::string to_text(const nlohmann::json& json, int indent = -1);
std::string to_text(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace lockstep
