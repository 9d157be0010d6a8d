#include "launch/config/unused_keys.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "launch/config/option_table.h"

namespace lockstep {

namespace {

/// The effective value of a key that others depend on, as in UsedWith.
std::string value_of(const Config& config, TargetKind targets, const std::string& key) {
  if (key == kTargets)
    return targets == TargetKind::values ? "values" : targets == TargetKind::labels ? "labels" : "classes";
  const Option& option = *std::ranges::find(option_table(), key, &Option::key);
  std::string text = option.get(config);
  if (text.size() >= 2 && text.front() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

std::string reason(const UsedWith& used, const std::string& value) {
  if (used.key == kTargets)
    return fmt::format("it applies to targets that are {}, but these are {}", fmt::join(used.values, " or "),
                       value);
  // A key that replaces the other one whenever it is set.
  if (used.values == std::vector<std::string>{""}) return fmt::format("{} is set", used.key);
  if (used.values == std::vector<std::string>{"0"})
    return fmt::format("{} = {} takes precedence", used.key, value);
  return fmt::format("it applies only with {} = {}, not {}", used.key, fmt::join(used.values, " or "), value);
}

}  // namespace

std::vector<Finding> unused_keys(const Config& config, TargetKind targets) {
  const Config standard;
  std::vector<Finding> found;
  for (const Option& option : option_table()) {
    const std::string set = option.get(config);
    if (set == option.get(standard)) continue;
    for (const UsedWith& used : option.used_with) {
      const std::string value = value_of(config, targets, used.key);
      if (std::ranges::find(used.values, value) != used.values.end()) continue;
      found.push_back(
          {fmt::format("{} = {} has no effect: {}", option.key, set, reason(used, value)), option.key});
      break;
    }
  }
  return found;
}

}  // namespace lockstep
