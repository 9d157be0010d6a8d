#pragma once

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "launch/config/familiar_values.h"
#include "launch/config/option_table.h"
#include "launch/config/values/lists.h"
#include "src/core/text/suggest.h"

// Functions that build the rows of the option table, one for each kind of value.

namespace lockstep::options {

/// The type of a field in TOML, where every integer has 64 bits.
template <typename T, typename U = std::remove_cvref_t<T>>
using Toml = std::conditional_t<std::is_integral_v<U> && !std::is_same_v<U, bool>, int64_t, U>;

/// A key whose value `read` parses; `field` returns the field that stores it, of a Config& or a const
/// Config&.
template <typename Field, typename Read>
Option scalar(const char* key, std::string type, const char* help, Field field, Read read) {
  return {
      .key = key,
      .type = std::move(type),
      .help = help,
      .set = [=](Config& config, const GivenValue& given) { field(config) = read(given); },
      .get = [=](const Config& config) { return toml_text(Toml<decltype(field(config))>(field(config))); }};
}

template <typename Field>
Option flag(const char* key, Field field, const char* help) {
  return scalar(key, "true | false", help, field, read_flag);
}

template <typename Field>
Option text(const char* key, Field field, const char* help) {
  return scalar(key, "text", help, field, read_text);
}

template <typename Field>
Option path(const char* key, Field field, const char* help) {
  return scalar(key, "path", help, field, read_path);
}

template <typename Field>
Option choice(const char* key, Field field, std::vector<std::string> choices, const char* help) {
  const std::string type = fmt::format("{}", fmt::join(choices, " | "));
  return scalar(key, type, help, field, [choices](const GivenValue& given) {
    std::string value = read_text(given);
    if (std::find(choices.begin(), choices.end(), value) == choices.end())
      given.reject("unknown value '{}'{}", value, suggestion(value, choices, value_synonyms(given.key)));
    return value;
  });
}

/// A field of an enumeration; `names` are those of its values, in order from 0.
template <typename Field>
Option one_of(const char* key, Field field, std::vector<std::string> names, const char* help) {
  using Value = std::remove_cvref_t<decltype(field(std::declval<Config&>()))>;
  return {.key = key,
          .type = fmt::format("{}", fmt::join(names, " | ")),
          .help = help,
          .set =
              [=](Config& config, const GivenValue& given) {
                const std::string name = read_text(given);
                const auto found = std::find(names.begin(), names.end(), name);
                if (found == names.end())
                  given.reject("unknown value '{}'{}", name,
                               suggestion(name, names, value_synonyms(given.key)));
                field(config) = static_cast<Value>(found - names.begin());
              },
          .get = [=](const Config& config) { return toml_text(names[static_cast<size_t>(field(config))]); }};
}

/// An integer from `min` to `max`.
template <typename Field>
Option integer(const char* key, Field field, int64_t min, int64_t max, const char* help) {
  using Value = std::remove_cvref_t<decltype(field(std::declval<Config&>()))>;
  return scalar(key, "integer", help, field, [min, max](const GivenValue& given) {
    const int64_t value = read_integer(given);
    if (value < min) given.reject("must be at least {}, is {}", min, value);
    if (value > max) given.reject("must be at most {}, is {}", max, value);
    if (!std::in_range<Value>(value)) given.reject("{} is too large", value);
    return static_cast<Value>(value);
  });
}

template <typename Field>
Option integer(const char* key, Field field, int64_t min, const char* help) {
  return integer(key, field, min, std::numeric_limits<int64_t>::max(), help);
}

enum class Edge { open, closed };  ///< whether a range excludes or includes its bound

/// A number between `min` and `max`.
template <typename Field>
Option number(const char* key, Field field, double min, Edge min_edge, double max, Edge max_edge,
              const char* help) {
  return scalar(key, "number", help, field, [=](const GivenValue& given) {
    const double value = read_number(given);
    if (value < min || (value == min && min_edge == Edge::open))
      given.reject("must be {} {}, is {}", min_edge == Edge::open ? "above" : "at least", min, value);
    if (value > max || (value == max && max_edge == Edge::open))
      given.reject("must be {} {}, is {}", max_edge == Edge::open ? "below" : "at most", max, value);
    return value;
  });
}

inline constexpr double kNoLimit = std::numeric_limits<double>::max();

template <typename Field>
Option positive(const char* key, Field field, const char* help) {
  return number(key, field, 0, Edge::open, kNoLimit, Edge::closed, help);
}

template <typename Field>
Option not_negative(const char* key, Field field, const char* help) {
  return number(key, field, 0, Edge::closed, kNoLimit, Edge::closed, help);
}

template <typename Field>
Option below_one(const char* key, Field field, const char* help) {
  return number(key, field, 0, Edge::closed, 1, Edge::open, help);
}

inline Option free_on_resume(Option option) {
  option.free_on_resume = true;
  return option;
}

/// An option that takes effect only with these values of the key `key`.
inline Option with(const char* key, std::vector<std::string> values, Option option) {
  option.used_with.push_back({key, std::move(values)});
  return option;
}

/// The field at a path of members, as a callable for both Config& and const Config&.
#define FIELD(path) \
  [](auto& config) -> auto& { return config.path; }

}  // namespace lockstep::options
