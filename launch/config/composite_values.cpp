#include "launch/config/composite_values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>
#include <vector>

#include "launch/config/familiar_values.h"
#include "src/core/suggest.h"
#include "src/train/objective/metrics.h"

namespace lockstep {

namespace {

[[noreturn]] void reject_member(const GivenValue& given, const std::string& name,
                                const std::vector<std::string>& known) {
  given.reject("unknown key '{}'{}", name, suggestion(name, known, value_synonyms(given.key)));
}

std::string absolute_file(const GivenValue& given, const std::string& file) {
  if (file.empty()) given.reject("names no file");
  return absolute_path(file, given.folder);
}

std::vector<std::string> read_files(const GivenValue& given) {
  if (given.node.is_string()) return {read_path(given)};
  const toml::array* array = given.node.as_array();
  if (array == nullptr)
    given.reject("expects a file or an array of files, found {}", kind_in_words(given.node));
  if (array->empty()) given.reject("names no file");
  std::vector<std::string> files;
  for (const toml::node& node : *array) {
    if (!node.is_string()) given.reject("expects file names, found {}", kind_in_words(node));
    files.push_back(absolute_file(given, node.as_string()->get()));
  }
  return files;
}

std::vector<double> read_numbers(const GivenValue& given) {
  if (!given.node.is_array()) return {read_number(given)};
  std::vector<double> numbers;
  for (const toml::node& node : *given.node.as_array())
    numbers.push_back(read_number({node, given.key, given.where, given.folder, ""}));
  if (numbers.empty()) given.reject("is empty");
  return numbers;
}

/// Whether the value is this word, in a file or on the command line.
bool is_word(const GivenValue& given, const std::string& word) {
  return given.raw == word || given.node.value<std::string>() == word;
}

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

std::string number_array(const std::vector<double>& numbers) {
  std::vector<std::string> texts;
  for (const double number : numbers) texts.push_back(toml_text(number));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

}  // namespace

void set_source(DataSource& source, const std::string& split, const GivenValue& given) {
  if (given.node.is_string()) {
    const std::string text = read_text(given);
    source = {};
    if (text.empty()) return;
    source = parse_data_source(text, split);
    for (std::string& file : source.files) file = absolute_file(given, file);
    return;
  }
  const toml::table* table = given.node.as_table();
  if (table == nullptr)
    given.reject("expects \"FILE:/GROUP\" or a table {{ files, x, y }}, found {}", kind_in_words(given.node));
  if (source.files.empty()) {
    source.x = "/" + split + "/x";
    source.y = "/" + split + "/y";
  }
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    const GivenValue member = given.member(name, node);
    if (name == "files")
      source.files = read_files(member);
    else if (name == "x")
      source.x = read_text(member);
    else if (name == "y")
      source.y = read_text(member);
    else
      reject_member(given, name, {"files", "x", "y"});
  }
  if (source.files.empty()) given.reject("names no files: add files = [\"FILE.h5\"]");
  if (source.x.empty()) given.reject("x names no data set");
}

void set_source(std::optional<DataSource>& source, const std::string& split, const GivenValue& given) {
  if (!source) source.emplace();
  set_source(*source, split, given);
  if (source->files.empty()) source.reset();
}

std::string toml_text(const DataSource& source) {
  if (source.files.empty()) return "";
  std::vector<std::string> files;
  for (const std::string& file : source.files) files.push_back(toml_text(file));
  return fmt::format("{{ files = [{}], x = {}, y = {} }}", fmt::join(files, ", "), toml_text(source.x),
                     toml_text(source.y));
}

std::string toml_text(const std::optional<DataSource>& source) { return source ? toml_text(*source) : ""; }

Normalize read_normalize(const GivenValue& given) {
  using Kind = Normalize::Kind;
  if (given.node.is_string() || !given.raw.empty()) {
    if (!given.node.is_table()) {
      const std::string word = read_text(given);
      if (word == "unit") return {Kind::unit, {}, {}};
      if (word == "none") return {Kind::none, {}, {}};
      static const std::vector<std::string> known{"unit", "none", "{ mean = [...], std = [...] }"};
      given.reject("unknown value '{}'{}", word, suggestion(word, known, value_synonyms(given.key)));
    }
  }
  const toml::table* table = given.node.as_table();
  if (table == nullptr)
    given.reject("expects \"unit\", \"none\" or {{ mean = [...], std = [...] }}, found {}",
                 kind_in_words(given.node));
  Normalize normalize{Kind::moments, {}, {}};
  for (const auto& [key, node] : *table) {
    const std::string name(key.str());
    if (name == "mean")
      normalize.mean = read_numbers(given.member(name, node));
    else if (name == "std")
      normalize.std = read_numbers(given.member(name, node));
    else
      reject_member(given, name, {"mean", "std"});
  }
  if (normalize.mean.empty() || normalize.mean.size() != normalize.std.size())
    given.reject(
        "mean and std need as many numbers as each other, one for each channel or one for all; found {} and "
        "{}",
        normalize.mean.size(), normalize.std.size());
  for (const double deviation : normalize.std) {
    if (deviation <= 0) given.reject("std must be above 0, is {}", deviation);
  }
  return normalize;
}

std::vector<std::string> read_names(const GivenValue& given) {
  const toml::array* array = given.node.as_array();
  if (array == nullptr) return {read_text(given)};
  if (array->empty()) given.reject("names nothing");
  std::vector<std::string> names;
  for (const toml::node& node : *array) {
    if (!node.is_string()) given.reject("expects a list of names, found {} in it", kind_in_words(node));
    names.push_back(node.as_string()->get());
  }
  return names;
}

std::string toml_text(const std::vector<std::string>& names) {
  if (names.size() == 1) return toml_text(names[0]);
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + toml_text(name);
  return "[" + text + "]";
}

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
            "must be above 0, is {}; to leave parameters as they are, name them in optimizer.freeze", scale);
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

std::string toml_text(const Normalize& normalize) {
  switch (normalize.kind) {
    case Normalize::Kind::unit:
      return toml_text(std::string("unit"));
    case Normalize::Kind::none:
      return toml_text(std::string("none"));
    case Normalize::Kind::moments:
      break;
  }
  return fmt::format("{{ mean = {}, std = {} }}", number_array(normalize.mean), number_array(normalize.std));
}

ClassWeights read_class_weights(const GivenValue& given) {
  if (is_word(given, "none")) return {};
  if (is_word(given, "balanced")) return {ClassWeights::Kind::balanced, {}};
  if (!given.node.is_array())
    given.reject("expects \"none\", \"balanced\" or one number for each class, found {}",
                 kind_in_words(given.node));
  const ClassWeights weights{ClassWeights::Kind::given, read_numbers(given)};
  for (const double weight : weights.values)
    if (!(weight >= 0)) given.reject("a weight must be at least 0, is {}", weight);
  if (std::ranges::all_of(weights.values, [](double weight) { return weight == 0; }))
    given.reject("some weight must be above 0");
  return weights;
}

std::string toml_text(const ClassWeights& weights) {
  switch (weights.kind) {
    case ClassWeights::Kind::none:
      return toml_text(std::string("none"));
    case ClassWeights::Kind::balanced:
      return toml_text(std::string("balanced"));
    case ClassWeights::Kind::given:
      break;
  }
  return number_array(weights.values);
}

std::vector<double> read_positive_weights(const GivenValue& given) {
  const std::vector<double> weights = read_numbers(given);
  for (const double weight : weights)
    if (!(weight > 0)) given.reject("a weight must be above 0, is {}", weight);
  return weights == std::vector<double>{1} ? std::vector<double>{} : weights;
}

std::string positive_weights_text(const std::vector<double>& weights) {
  if (weights.size() < 2) return toml_text(weights.empty() ? 1.0 : weights[0]);
  return number_array(weights);
}

std::optional<int64_t> read_ignore_label(const GivenValue& given) {
  if (is_word(given, "none")) return std::nullopt;
  const int64_t label = read_integer(given);
  // Of the values that a label may have as int32, one stands for none.
  if (label <= INT32_MIN || label > INT32_MAX) given.reject("is no label of 32 bits: {}", label);
  return label;
}

std::string ignore_label_text(const std::optional<int64_t>& label) {
  return label ? toml_text(*label) : toml_text(std::string("none"));
}

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
  if (names.empty()) given.reject("is empty: \"auto\" reports the usual metrics");
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
