#include "models/file/value_reader.h"

#include <variant>
#include <vector>

#include "models/file/layer_synonyms.h"
#include "src/core/text/suggest.h"
#include "src/graph/layers/layers.h"

namespace lockstep {

std::string ValueReader::text_of(const toml::node& node, const std::string& key) const {
  if (!node.is_string()) fail_at(node, "'{}' must be a string.", key);
  return node.as_string()->get();
}

double ValueReader::number_of(const toml::node& node, const std::string& key) const {
  if (!node.is_number()) fail_at(node, "'{}' must be a number.", key);
  return *node.value<double>();
}

int64_t ValueReader::count_of(const toml::table& table, const std::string& key, int64_t standard,
                              const BlockParameters* block) const {
  const toml::node* node = table.get(key);
  if (node == nullptr) return standard;
  const OptionValue value = node->is_integer()                      ? OptionValue(node->as_integer()->get())
                            : node->is_string() && block != nullptr ? expression(*node, *block)
                                                                    : OptionValue(false);
  if (!std::holds_alternative<int64_t>(value)) fail_at(*node, "'{}' must be an integer.", key);
  return std::get<int64_t>(value);
}

void ValueReader::fail_without_kind(const toml::table& table) const {
  const std::vector<std::string> kind = {"kind"};
  for (const auto& [key, node] : table)
    if (meant_name(key.str(), kind, layer_option_synonyms()) == "kind")
      fail_at(node, "a layer has no '{}'. Did you mean 'kind'?", key.str());
  fail_at(table, "a layer needs a 'kind', for example kind = \"linear\".");
}

const LayerKind& ValueReader::kind_of(const toml::table& table) const {
  const toml::node* node = table.get("kind");
  if (node == nullptr) fail_without_kind(table);
  const std::string name = text_of(*node, "kind");
  std::vector<std::string> known;
  for (const LayerKind& kind : layer_kinds()) {
    if (kind.name == name) return kind;
    known.push_back(kind.name);
  }
  fail_at(*node, "unknown kind of layer '{}'{}", name, suggestion(name, known, layer_kind_synonyms()));
}

const LayerOption& ValueReader::option_of(const LayerKind& kind, const std::string& key,
                                          const toml::node& node) const {
  std::vector<std::string> known = names_of(common_layer_options());
  for (const LayerOption& option : kind.options) {
    if (option.name == key) return option;
    known.push_back(option.name);
  }
  fail_at(node, "{} has no option '{}'{}", kind.name, key, suggestion(key, known, layer_option_synonyms()));
}

OptionValue ValueReader::value_of(const LayerOption& option, const toml::node& node,
                                  const BlockParameters* block) const {
  if (std::holds_alternative<Init>(option.type)) return initializer_of(option, node);
  const bool is_padding = std::holds_alternative<Padding>(option.type);
  if (const toml::array* several = node.as_array()) {
    if (is_padding) return Padding(extents_of(option, *several, block));
    if (std::holds_alternative<Extents>(option.type)) return extents_of(option, *several, block);
  }
  OptionValue value = option.type;
  if (node.is_string()) {
    if (option.may_be_classes && node.as_string()->get() == "classes") return classes_;
    if (is_padding && node.as_string()->get() == "same") return Padding::same();
    if (block == nullptr) fail_at(node, "'{}' must be {}.", option.name, type_name(option));
    value = expression(node, *block);
  } else if (node.is_boolean()) {
    value = node.as_boolean()->get();
  } else if (node.is_integer()) {
    value = node.as_integer()->get();
  } else if (node.is_floating_point()) {
    value = node.as_floating_point()->get();
  } else {
    fail_at(node, "'{}' must be {}.", option.name, type_name(option));
  }
  // An integer is accepted as a number, and for all axes.
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    if (std::holds_alternative<Extents>(option.type)) value = Extents(*integer);
    if (is_padding) value = Padding(*integer);
    if (std::holds_alternative<double>(option.type)) value = static_cast<double>(*integer);
  }
  if (value.index() != option.type.index()) fail_at(node, "'{}' must be {}.", option.name, type_name(option));
  return value;
}

OptionValue ValueReader::initializer_of(const LayerOption& option, const toml::node& node) const {
  const std::string name = text_of(node, option.name);
  std::vector<std::string> known;
  for (const Init init : initializers()) {
    known.push_back(to_string(init));
    if (known.back() == name) return init;
  }
  fail_at(node, "unknown initializer '{}'{}", name, suggestion(name, known, initializer_synonyms()));
}

Extents ValueReader::extents_of(const LayerOption& option, const toml::array& array,
                                const BlockParameters* block) const {
  std::vector<int64_t> each;
  for (const toml::node& node : array) {
    const OptionValue value = node.is_string() && block != nullptr ? expression(node, *block)
                              : node.is_integer()                  ? OptionValue(node.as_integer()->get())
                                                                   : OptionValue(false);
    if (!std::holds_alternative<int64_t>(value))
      fail_at(node, "'{}' must be {}.", option.name, type_name(option));
    each.push_back(std::get<int64_t>(value));
  }
  if (each.size() == 1) return Extents{each[0]};
  if (each.size() == 2) return Extents{each[0], each[1]};
  if (each.size() == 3) return Extents{each[0], each[1], each[2]};
  fail_at(array, "'{}' must be {}.", option.name, type_name(option));
}

OptionValue ValueReader::parameter_of(const std::string& name, const toml::node& node,
                                      const BlockParameters& around) const {
  if (node.is_boolean()) return node.as_boolean()->get();
  if (node.is_integer()) return node.as_integer()->get();
  if (node.is_floating_point()) return node.as_floating_point()->get();
  if (node.is_string()) return expression(node, around);
  fail_at(node, "parameter '{}' must be a number, or true or false.", name);
}

OptionValue ValueReader::expression(const toml::node& node, const BlockParameters& around) const {
  try {
    return evaluate(node.as_string()->get(), around);
  } catch (const Error& error) {
    fail_at(node, "{}", error.what());
  }
}

}  // namespace lockstep
