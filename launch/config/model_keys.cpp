#include "launch/config/model_keys.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "launch/config/familiar_keys.h"
#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

/// Whether a name stands for one of the known keys.
bool is_familiar(const std::string& name, const std::vector<std::string>& known) {
  return std::ranges::any_of(model_key_synonyms(), [&](const Synonym& synonym) {
    return same_words(name, synonym.typed) && std::ranges::find(known, synonym.meant) != known.end();
  });
}

std::string type_in_words(const ModelValue& value) {
  static constexpr const char* kWords[] = {"true or false", "an integer", "a number", "text",
                                           "an array of integers, such as [64, 32]"};
  return kWords[value.index()];
}

}  // namespace

std::string known_model(const GivenValue& given) {
  const std::string name = read_text(given);
  if (find_model(name) != nullptr) return name;
  std::vector<std::string> names;
  for (const ModelEntry& model : model_registry()) names.push_back(model.name);
  given.reject("unknown model '{}'{}", name, suggestion(name, names, model_synonyms()));
}

ModelValue read_model_value(const GivenValue& given) {
  if (given.node.is_boolean()) return read_flag(given);
  if (given.node.is_integer()) return read_integer(given);
  if (given.node.is_floating_point()) return read_number(given);
  if (given.node.is_array()) {
    std::vector<int64_t> values;
    for (const toml::node& node : *given.node.as_array())
      values.push_back(read_integer({node, given.key, given.where, given.folder, ""}));
    return values;
  }
  if (given.node.is_table()) given.reject("expects a value, found a table");
  return read_text(given);
}

void set_model_keys(ModelSpec& spec, const std::map<std::string, GivenModelKey>& keys) {
  const ModelEntry* model = find_model(spec.name);
  for (const auto& [name, given] : keys) {
    if (model == nullptr)
      fail(ExitCode::usage, "{}model.{}: a model file has no keys in [model]. Remove the key, or model.file.",
           given.where, name);
    const auto key = std::ranges::find(model->keys, name, &ModelKey::name);
    if (key == model->keys.end()) {
      std::vector<std::string> known{"name", "file"};
      for (const ModelKey& k : model->keys) known.push_back(k.name);
      for (const ModelEntry& other : model_registry())
        if (!is_familiar(name, known) &&
            std::ranges::find(other.keys, name, &ModelKey::name) != other.keys.end())
          fail(ExitCode::usage, "{}unknown key 'model.{}' of the model {}: the model {} has it.", given.where,
               name, model->name, other.name);
      std::string tail = suggestion(name, known, model_key_synonyms());
      // A key unlike any of the model may belong to another section.
      if (meant_name(name, known, model_key_synonyms()).empty())
        if (const std::string key_elsewhere = meant_key("model." + name); !key_elsewhere.empty())
          tail = fmt::format(". Did you mean '{}'?", key_elsewhere);
      fail(ExitCode::usage, "{}unknown key 'model.{}' of the model {}{}", given.where, name, model->name,
           tail);
    }
    ModelValue value = given.value;
    const auto* integer = std::get_if<int64_t>(&value);
    if (integer != nullptr && std::holds_alternative<double>(key->standard))
      value = static_cast<double>(*integer);
    if (integer != nullptr && std::holds_alternative<std::vector<int64_t>>(key->standard))
      value = std::vector<int64_t>{*integer};
    if (value.index() != key->standard.index())
      fail(ExitCode::usage, "{}model.{}: expects {}, found {}", given.where, name,
           type_in_words(key->standard), type_in_words(value));
    spec.keys[name] = value;
  }
}

std::vector<std::pair<std::string, std::string>> model_key_texts(const ModelSpec& spec) {
  std::vector<std::pair<std::string, std::string>> texts;
  if (const ModelEntry* model = find_model(spec.name)) {
    for (const ModelKey& key : model->keys) {
      const auto set = spec.keys.find(key.name);
      texts.emplace_back(key.name, toml_text(set == spec.keys.end() ? key.standard : set->second));
    }
  }
  return texts;
}

std::string toml_text(const ModelValue& value) {
  if (const auto* integers = std::get_if<std::vector<int64_t>>(&value))
    return fmt::format("[{}]", fmt::join(*integers, ", "));
  if (const auto* boolean = std::get_if<bool>(&value)) return toml_text(*boolean);
  if (const auto* integer = std::get_if<int64_t>(&value)) return toml_text(*integer);
  if (const auto* real = std::get_if<double>(&value)) return toml_text(*real);
  return toml_text(std::get<std::string>(value));
}

}  // namespace lockstep
