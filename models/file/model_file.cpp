#include "models/file/model_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "models/file/layer_kinds.h"
#include "models/file/layer_synonyms.h"
#include "models/file/toml_advice.h"
#include "src/core/error.h"
#include "src/core/suggest.h"

namespace lockstep {

namespace {

constexpr const char* kData = "input";  // the name of value 0

bool is_common(const std::string& key) {
  return std::ranges::find(common_layer_options(), key, &CommonOption::name) != common_layer_options().end();
}

/// Turns the tables of one file into a graph, one after another.
class Reader {
 public:
  Reader(const std::string& path, const Shape& input, int64_t outputs, uint64_t seed)
      : path_(path), outputs_(outputs), seed_(seed), graph_(input) {}

  Graph read() {
    const toml::table root = parse();
    for (const auto& [key, node] : root)
      if (key != "layer")
        fail_at(node, "unknown key '{}': a model file is a list of [[layer]] tables.", key.str());
    const toml::array* layers = root["layer"].as_array();
    if (layers == nullptr || layers->empty() || !layers->is_array_of_tables())
      fail(ExitCode::usage, "{}: a model file is a list of [[layer]] tables, and there is none.", path_);
    for (const toml::node& node : *layers) add_layer(*node.as_table());
    check_ends(*layers);
    return std::move(graph_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail_at(const toml::node& node, fmt::format_string<Args...> format,
                            Args&&... args) const {
    const std::string where = layer_.empty() ? "" : "layer '" + layer_ + "': ";
    fail(ExitCode::usage, "{}:{}: {}{}", path_, node.source().begin.line, where,
         fmt::format(format, std::forward<Args>(args)...));
  }

  toml::table parse() const {
    std::ostringstream text;
    std::ifstream file(path_, std::ios::binary);
    if (file) text << file.rdbuf();
    if (!file.is_open() || std::filesystem::is_directory(path_))
      fail(ExitCode::usage, "model.file {} cannot be read: check the path and its permissions.", path_);
    try {
      return toml::parse(text.str(), path_);
    } catch (const toml::parse_error& error) {
      fail(ExitCode::usage, "{}:{}: {}{}", path_, error.source().begin.line, error.description(),
           toml_advice(text.str(), error.source().begin.line));
    }
  }

  void add_layer(const toml::table& table) {
    layer_.clear();
    const LayerKind& kind = kind_of(table);
    const std::string name = name_of(table, kind);
    layer_ = name;
    LayerArguments arguments{name, seed_, {}};
    for (const auto& [key, node] : table) {
      if (is_common(std::string(key.str()))) continue;
      const LayerOption& option = option_of(kind, std::string(key.str()), node);
      arguments.values[option.name] = value_of(option, node);
    }
    for (const LayerOption& option : kind.options) {
      if (arguments.values.contains(option.name)) continue;
      if (!option.standard)
        fail_at(table, "{} needs '{}' ({}: {}).", kind.name, option.name, option.description,
                type_name(option.type));
      arguments.values[option.name] = *option.standard;
    }
    const std::vector<int> inputs = inputs_of(table);
    try {
      values_[name] = graph_.add(name, kind.make(arguments), inputs);
    } catch (const Error& error) {
      fail(ExitCode::usage, "{}:{}: {}", path_, table.source().begin.line, error.what());
    }
  }

  [[noreturn]] void fail_without_kind(const toml::table& table) const {
    const std::vector<std::string> kind = {"kind"};
    for (const auto& [key, node] : table)
      if (meant_name(key.str(), kind, layer_option_synonyms()) == "kind")
        fail_at(node, "a layer has no '{}'. Did you mean 'kind'?", key.str());
    fail_at(table, "a layer needs a 'kind', for example kind = \"linear\".");
  }

  const LayerKind& kind_of(const toml::table& table) const {
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

  std::string name_of(const toml::table& table, const LayerKind& kind) {
    const toml::node* node = table.get("name");
    if (node == nullptr) return fmt::format("{}_{}", kind.name, ++unnamed_[kind.name]);
    const std::string name = text_of(*node, "name");
    if (name == kData) fail_at(*node, "the name '{}' is the data's: give the layer another one.", kData);
    return name;
  }

  const LayerOption& option_of(const LayerKind& kind, const std::string& key, const toml::node& node) const {
    std::vector<std::string> known;
    for (const CommonOption& option : common_layer_options()) known.push_back(option.name);
    for (const LayerOption& option : kind.options) {
      if (option.name == key) return option;
      known.push_back(option.name);
    }
    fail_at(node, "{} has no option '{}'{}", kind.name, key, suggestion(key, known, layer_option_synonyms()));
  }

  OptionValue value_of(const LayerOption& option, const toml::node& node) const {
    switch (option.type) {
      case OptionType::flag:
        if (node.is_boolean()) return node.as_boolean()->get();
        break;
      case OptionType::width:
        if (node.is_string() && node.as_string()->get() == "classes") return outputs_;
        [[fallthrough]];
      case OptionType::count:
        if (node.is_integer()) return node.as_integer()->get();
        break;
      case OptionType::pair:
        if (node.is_integer()) return std::array{node.as_integer()->get(), node.as_integer()->get()};
        if (const toml::array* both = node.as_array();
            both != nullptr && both->size() == 2 && both->is_homogeneous(toml::node_type::integer))
          return std::array{both->get_as<int64_t>(0)->get(), both->get_as<int64_t>(1)->get()};
        break;
      case OptionType::number:
        if (node.is_number()) return *node.value<double>();
        break;
      case OptionType::initializer: {
        const std::string name = text_of(node, option.name);
        const std::vector<std::string>& known = initializer_names();
        if (std::find(known.begin(), known.end(), name) != known.end()) return name;
        fail_at(node, "unknown initializer '{}'{}", name, suggestion(name, known, initializer_synonyms()));
      }
    }
    fail_at(node, "'{}' must be {}.", option.name, type_name(option.type));
  }

  std::string text_of(const toml::node& node, const std::string& key) const {
    if (!node.is_string()) fail_at(node, "'{}' must be a string.", key);
    return node.as_string()->get();
  }

  std::vector<int> inputs_of(const toml::table& table) const {
    const toml::node* one = table.get("input");
    const toml::node* several = table.get("inputs");
    if (one != nullptr && several != nullptr)
      fail_at(*several, "has both 'input' and 'inputs': write one of them.");
    if (one != nullptr) return {value_named(*one, "input")};
    if (several == nullptr) return {graph_.output()};
    std::vector<int> values;
    if (!several->is_array()) fail_at(*several, "'inputs' must be a list of names.");
    for (const toml::node& node : *several->as_array()) values.push_back(value_named(node, "inputs"));
    return values;
  }

  int value_named(const toml::node& node, const std::string& key) const {
    const std::string name = text_of(node, key);
    if (const auto found = values_.find(name); found != values_.end()) return found->second;
    std::vector<std::string> known;
    for (const auto& entry : values_) known.push_back(entry.first);
    fail_at(node, "no layer before this one is named '{}'{}", name, suggestion(name, known));
  }

  void check_ends(const toml::array& tables) {
    const auto& nodes = graph_.nodes();
    for (size_t i = 0; i < nodes.size(); ++i) {
      layer_ = nodes[i].name;
      if (graph_.readers(static_cast<int>(i) + 1) == 0)
        fail_at(tables[i], "nothing reads its output, and it is not the last layer.");
    }
    if (nodes.back().output != Shape{outputs_})
      fail_at(tables.back(), "the last layer gives {} for a sample, but the data needs ({}): {}.",
              to_string(nodes.back().output), outputs_, right_end(*nodes.back().layer, nodes.back().output));
  }

  /// What to change where the last layer does not give the outputs.
  static std::string right_end(const Layer& last, const Shape& output) {
    if (last.kind() == "linear") return "set its outputs = \"classes\"";
    return fmt::format("end with {}a linear layer with outputs = \"classes\"",
                       output.rank() > 1 ? "a flatten layer and " : "");
  }

  std::string path_;
  int64_t outputs_;
  uint64_t seed_;
  Graph graph_;
  std::string layer_;  // being read, for messages
  std::map<std::string, int> values_ = {{kData, 0}};
  std::map<std::string, int> unnamed_;
};

}  // namespace

Graph build_model_file(const std::string& path, const Shape& input, int64_t outputs, uint64_t seed) {
  return Reader(path, input, outputs, seed).read();
}

}  // namespace lockstep
