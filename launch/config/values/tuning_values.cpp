#include "launch/config/values/tuning_values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "launch/config/values/lists.h"

namespace lockstep {

std::vector<std::string> read_patterns(const GivenValue& given) {
  const toml::array* array = given.node.as_array();
  if (array != nullptr && array->empty()) return {};
  std::vector<std::string> patterns = read_names(given);
  if (std::ranges::count(patterns, "") > 0) given.reject("a pattern is empty; [] freezes nothing");
  return patterns;
}

std::string patterns_text(const std::vector<std::string>& patterns) {
  return patterns.size() == 1 ? fmt::format("[{}]", toml_text(patterns[0])) : toml_text(patterns);
}

void set_scales(std::map<std::string, double>& scales, const GivenValue& given) {
  const toml::table* table = given.node.as_table();
  if (table == nullptr)
    given.reject("expects a table {{ PATTERN = NUMBER, ... }}, found {}", kind_in_words(given.node));
  const std::function<void(const toml::table&, const std::string&)> read = [&](const toml::table& values,
                                                                               const std::string& prefix) {
    for (const auto& [key, node] : values) {
      const std::string pattern = prefix + std::string(key.str());
      if (node.is_table()) {
        read(*node.as_table(), pattern + ".");
        continue;
      }
      const GivenValue member = given.member(pattern, node);
      const double scale = read_number(member);
      if (!(scale > 0) || static_cast<float>(scale) == 0)
        member.reject(
            "must be above 0, is {}; to exclude parameters from training, name them in optimizer.freeze",
            scale);
      if (!std::isfinite(static_cast<float>(scale))) member.reject("{} is too large", scale);
      scales[pattern] = scale;
    }
  };
  read(*table, "");
}

std::string toml_text(const std::map<std::string, double>& scales) {
  std::vector<std::string> texts;
  for (const auto& [pattern, scale] : scales)
    texts.push_back(fmt::format("{} = {}", toml_text(pattern), toml_text(scale)));
  return texts.empty() ? "{}" : fmt::format("{{ {} }}", fmt::join(texts, ", "));
}

}  // namespace lockstep
