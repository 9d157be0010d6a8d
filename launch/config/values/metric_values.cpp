#include "launch/config/values/metric_values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "launch/config/familiar_values.h"
#include "src/core/text/suggest.h"
#include "src/train/objective/metrics.h"

namespace lockstep {

namespace {

constexpr std::string_view kValidation = "validation_";

bool is_watched(const std::string& name) {
  return name == "validation_loss" ||
         (name.starts_with(kValidation) && is_metric(name.substr(kValidation.size())));
}

std::vector<std::string> watched_names() {
  std::vector<std::string> names{"validation_loss"};
  for (const std::string& metric : metric_names()) names.push_back(std::string(kValidation) + metric);
  return names;
}

}  // namespace

std::vector<std::string> read_metrics(const GivenValue& given) {
  if (is_word(given, "auto")) return {};
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (!is_metric(name))
      given.reject("unknown metric '{}'{}", name,
                   suggestion(name, metric_names(), value_synonyms(given.key)));
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  const toml::array* array = given.node.as_array();
  if (array == nullptr) {
    add(read_text(given));
    return names;
  }
  for (const toml::node& node : *array) {
    if (!node.is_string()) given.reject("expects names of metrics, found {}", kind_in_words(node));
    add(node.as_string()->get());
  }
  if (names.empty()) given.reject("is empty: \"auto\" selects the default metrics");
  return names;
}

std::string metrics_text(const std::vector<std::string>& names) {
  if (names.empty()) return toml_text(std::string("auto"));
  std::vector<std::string> texts;
  for (const std::string& name : names) texts.push_back(toml_text(name));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

void set_early_stop(std::optional<EarlyStopSpec>& early_stop, const GivenValue& given) {
  if (const auto* flag = given.node.as_boolean(); flag != nullptr && !flag->get()) {
    early_stop.reset();
    return;
  }
  const toml::table* table = given.node.as_table();
  if (table == nullptr)
    given.reject("expects false or a table {{ metric, patience, min_delta }}, found {}",
                 kind_in_words(given.node));
  EarlyStopSpec spec = early_stop.value_or(EarlyStopSpec{});
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    const GivenValue member = given.member(name, node);
    if (name == "metric") {
      spec.metric = read_text(member);
      if (!is_watched(spec.metric))
        member.reject("unknown value '{}'{}", spec.metric,
                      suggestion(spec.metric, watched_names(), value_synonyms(member.key)));
    } else if (name == "patience") {
      const int64_t patience = read_integer(member);
      if (patience < 1) member.reject("must be at least 1, is {}", patience);
      spec.patience = patience;
    } else if (name == "min_delta") {
      spec.min_delta = read_number(member);
      if (spec.min_delta < 0) member.reject("must be at least 0, is {}", spec.min_delta);
    } else {
      reject_member(given, name, {"metric", "patience", "min_delta"});
    }
  }
  early_stop = spec;
}

std::string toml_text(const std::optional<EarlyStopSpec>& early_stop) {
  if (!early_stop) return "false";
  return fmt::format("{{ metric = {}, patience = {}, min_delta = {} }}", toml_text(early_stop->metric),
                     toml_text(static_cast<int64_t>(early_stop->patience)), toml_text(early_stop->min_delta));
}

}  // namespace lockstep
