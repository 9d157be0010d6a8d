#include "launch/config/values/augment_values.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>

#include "launch/config/familiar_values.h"
#include "src/core/text/suggest.h"
#include "src/train/augment/kinds.h"

namespace lockstep {

namespace {

std::string known_name(const GivenValue& given, const std::string& name) {
  const std::vector<std::string> known = augment_names();
  if (std::ranges::find(known, name) == known.end())
    given.reject("unknown augmentation '{}'{}", name, suggestion(name, known, value_synonyms(given.key)));
  return name;
}

/// A number as TOML: integers without a point.
std::string option_text(const AugmentOption& option, double value) {
  return option.is_integer ? toml_text(static_cast<int64_t>(value)) : toml_text(value);
}

double read_option(const GivenValue& given, const AugmentOption& option) {
  const double value = option.is_integer ? static_cast<double>(read_integer(given)) : read_number(given);
  if (!option.range.contains(value)) given.reject("must be {}, is {}", to_string(option.range), value);
  return value;
}

AugmentSpec read_table(const GivenValue& given, const toml::table& table) {
  const toml::node* const name = table.get("name");
  if (name == nullptr) given.reject("a table needs a name: {{ name = \"crop\", padding = 4 }}");
  AugmentSpec spec{known_name(given, read_text({*name, given.key, given.where, given.folder, ""})), {}};
  const std::vector<AugmentOption>& options = augment_kind(spec.name).options;
  std::vector<std::string> known{"name"};
  for (const AugmentOption& option : options) known.push_back(option.name);
  const GivenValue of_kind{given.node, given.key + "." + spec.name, given.where, given.folder, ""};
  for (const auto& [key, node] : table) {
    const std::string option_name(key.str());
    if (option_name == "name") continue;
    const auto option = std::ranges::find(options, option_name, &AugmentOption::name);
    if (option == options.end()) reject_member(of_kind, option_name, known);
    spec.options[option_name] = read_option(of_kind.member(option_name, node), *option);
  }
  return spec;
}

AugmentSpec read_one(const GivenValue& given) {
  if (const toml::table* table = given.node.as_table()) return read_table(given, *table);
  if (!given.node.is_string())
    given.reject("expects names or tables {{ name, OPTION = NUMBER, ... }}, found {}",
                 kind_in_words(given.node));
  return {known_name(given, read_text(given)), {}};
}

}  // namespace

std::vector<AugmentSpec> read_augment(const GivenValue& given) {
  const toml::array* array = given.node.as_array();
  if (array == nullptr) {
    if (is_word(given, "none")) given.reject("write [] for none");
    return {read_one(given)};
  }
  std::vector<AugmentSpec> augment;
  for (const toml::node& node : *array)
    augment.push_back(read_one({node, given.key, given.where, given.folder, ""}));
  return augment;
}

std::string toml_text(const std::vector<AugmentSpec>& augment) {
  std::vector<std::string> entries;
  for (const AugmentSpec& spec : augment) {
    std::vector<std::string> members = {fmt::format("name = {}", toml_text(spec.name))};
    for (const AugmentOption& option : augment_kind(spec.name).options) {
      const auto found = spec.options.find(option.name);
      members.push_back(
          fmt::format("{} = {}", option.name,
                      option_text(option, found == spec.options.end() ? option.standard : found->second)));
    }
    entries.push_back(fmt::format("{{ {} }}", fmt::join(members, ", ")));
  }
  return fmt::format("[{}]", fmt::join(entries, ", "));
}

std::vector<std::string> augment_help() {
  std::vector<std::string> lines;
  for (const AugmentKind& kind : augment_kinds()) {
    std::string line = fmt::format("{}: {}", kind.name, kind.description);
    for (const AugmentOption& option : kind.options)
      line +=
          fmt::format("; {} = {}: {}", option.name, option_text(option, option.standard), option.description);
    lines.push_back(line);
  }
  return lines;
}

}  // namespace lockstep
