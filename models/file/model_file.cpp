#include "models/file/model_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "models/file/layer_options.h"
#include "models/file/layer_order.h"
#include "models/file/spatial_axes.h"
#include "models/file/toml_advice.h"
#include "models/file/value_reader.h"
#include "models/registry.h"
#include "src/core/error.h"
#include "src/core/text/suggest.h"

namespace lockstep {

namespace {

constexpr const char* kData = "input";  // the name of value 0, and of a block's input
constexpr int64_t kMaxRepeat = 1000;

/// Adds the tables of one file to a graph, in order.
class Reader {
 public:
  Reader(const std::string& path, const Value& input, const NetworkOutput& output, uint64_t seed)
      : file_(path, output.width), output_(output), graph_(input, seed) {}

  Graph read() {
    const toml::table root = parse();
    for (const auto& [key, node] : root)
      if (key != "layer" && key != "block")
        file_.fail_at(node, "unknown key '{}': a model file holds [[layer]] tables and [block.NAME] tables.",
                      key.str());
    const toml::array* layers = root["layer"].as_array();
    if (layers == nullptr || layers->empty() || !layers->is_array_of_tables())
      fail(ExitCode::usage, "{}: a model file is a list of [[layer]] tables, and there is none.",
           file_.path());
    blocks_ = root["block"].as_table();
    graph_ = Graph(with_channels(graph_.value(0), output_, spatial_axes(*layers, blocks_).value_or(2)),
                   graph_.seed());
    if (root.contains("block") && blocks_ == nullptr)
      file_.fail_at(*root.get("block"), "'block' must be a table for each block, as in [block.residual].");
    Scope whole{.values = {{kData, 0}}};
    add_layers(*layers, whole);
    check_ends();
    return std::move(graph_);
  }

 private:
  /// The scope in which names are resolved: the file, or one use of a block.
  struct Scope {
    std::string prefix = {};  ///< prefix of its layers' names: "stage1.0."
    std::map<std::string, int> values = {};
    BlockParameters parameters = {};
    std::map<std::string, int> unnamed = {};  ///< number of layers without a name, by kind
    std::vector<std::string> inside = {};     ///< enclosing blocks
    const toml::array* tables = nullptr;      ///< its layers

    const BlockParameters* block() const { return inside.empty() ? nullptr : &parameters; }
  };

  toml::table parse() const {
    std::ostringstream text;
    std::ifstream file(file_.path(), std::ios::binary);
    if (file) text << file.rdbuf();
    if (!file.is_open() || std::filesystem::is_directory(file_.path()))
      fail(ExitCode::usage, "model.file {} cannot be read: check the path and its permissions.",
           file_.path());
    try {
      return toml::parse(text.str(), file_.path());
    } catch (const toml::parse_error& error) {
      fail(ExitCode::usage, "{}:{}: {}{}", file_.path(), error.source().begin.line, error.description(),
           toml_advice(text.str(), error.source().begin.line));
    }
  }

  void add_layers(const toml::array& tables, Scope& scope) {
    scope.tables = &tables;
    for (const toml::node& node : tables) {
      file_.set_layer("");
      const toml::table& table = *node.as_table();
      const bool is_block = table.contains("block");
      const std::string kind =
          is_block ? file_.text_of(*table.get("block"), "block") : file_.kind_of(table).name;
      const std::string name = name_of(table, kind, scope);
      file_.set_layer(scope.prefix + name);
      const int64_t repeat = file_.count_of(table, "repeat", 1, scope.block());
      if (repeat < 1 || repeat > kMaxRepeat)
        file_.fail_at(*table.get("repeat"), "'repeat' is {}, but it must be from 1 to {}.", repeat,
                      kMaxRepeat);
      const int64_t first = is_block ? file_.count_of(table, "first", 0, scope.block()) : 0;
      const bool numbered = table.contains("repeat") || table.contains("first");
      std::vector<int> inputs = inputs_of(table, scope);
      for (int64_t i = 0; i < repeat; ++i) {
        const std::string each = numbered ? fmt::format("{}.{}", name, first + i) : name;
        if (scope.values.contains(each))
          fail(ExitCode::usage, "{}:{}: two layers are named '{}': give one of them another name.",
               file_.path(), table.source().begin.line, scope.prefix + each);
        const int value =
            is_block ? add_block(table, each, inputs, scope) : add_layer(table, each, inputs, scope);
        scope.values[each] = scope.values[name] = value;
        inputs = {value};
      }
    }
  }

  int add_layer(const toml::table& table, const std::string& name, const std::vector<int>& inputs,
                const Scope& scope) {
    const std::string full_name = scope.prefix + name;
    file_.set_layer(full_name);
    const LayerKind& kind = file_.kind_of(table);
    std::map<std::string, OptionValue> values;
    for (const auto& [key, node] : table) {
      if (is_in(common_layer_options(), key.str())) continue;
      const LayerOption& option = file_.option_of(kind, std::string(key.str()), node);
      values[option.name] = file_.value_of(option, node, scope.block());
    }
    for (const LayerOption& option : kind.options)
      if (!option.standard && !values.contains(option.name))
        file_.fail_at(table, "{} needs '{}' ({}: {}).", kind.name, option.name, option.description,
                      type_name(option));
    const toml::node* const sharing = table.get("parameters_of");
    const std::string owner =
        sharing != nullptr ? owner_of(file_.text_of(*sharing, "parameters_of"), scope) : "";
    const toml::node* const weighing = table.get("loss_weight");
    const double weight = weighing != nullptr ? file_.number_of(*weighing, "loss_weight") : 0;
    try {
      graph_.add(full_name, kind.with(values), inputs);
      if (sharing != nullptr) graph_.share_parameters(full_name, owner);
      if (weighing != nullptr) graph_.set_loss_weight(full_name, weight);
    } catch (const Error& error) {
      fail(ExitCode::usage, "{}:{}: {}", file_.path(), table.source().begin.line, error.what());
    }
    tables_.push_back(&table);
    return graph_.output();
  }

  /// The full name of a layer that has this name in the scope.
  std::string owner_of(const std::string& name, const Scope& scope) const {
    return graph_.find(scope.prefix + name) >= 0 ? scope.prefix + name : name;
  }

  int add_block(const toml::table& use, const std::string& name, const std::vector<int>& inputs,
                const Scope& scope) {
    const std::string full_name = scope.prefix + name;
    file_.set_layer(full_name);
    const std::string which = file_.text_of(*use.get("block"), "block");
    std::vector<std::string> known;
    if (blocks_ != nullptr)
      for (const auto& [key, node] : *blocks_) known.emplace_back(key.str());
    if (std::ranges::find(known, which) == known.end())
      file_.fail_at(*use.get("block"), "this file has no [block.{}]{}", which,
                    known.empty() ? std::string(".") : suggestion(which, known));
    if (std::ranges::find(scope.inside, which) != scope.inside.end())
      file_.fail_at(*use.get("block"), "block '{}' is used inside itself.", which);
    if (inputs.size() != 1) file_.fail_at(*use.get("inputs"), "a block reads one value: write 'input'.");
    const toml::table* block = blocks_->get(which)->as_table();
    if (block == nullptr) file_.fail_at(*blocks_->get(which), "'block.{}' must be a table.", which);
    const toml::array* layers = (*block)["layers"].as_array();
    if (layers == nullptr || layers->empty() || !layers->is_array_of_tables())
      file_.fail_at(*block, "block '{}' needs 'layers', a list of tables.", which);
    for (const auto& [key, node] : *block)
      if (key != "layers" && key != "parameters")
        file_.fail_at(node, "unknown key '{}': a block has only 'layers' and 'parameters'.", key.str());

    Scope inner{.prefix = full_name + ".", .values = {{kData, inputs[0]}}, .inside = scope.inside};
    inner.inside.push_back(which);
    if (const toml::table* parameters = (*block)["parameters"].as_table())
      for (const auto& [key, node] : *parameters)
        inner.parameters[std::string(key.str())] =
            file_.parameter_of(std::string(key.str()), node, scope.parameters);
    for (const auto& [key, node] : use) {
      if (is_in(block_use_options(), key.str())) continue;
      if (const auto found = inner.parameters.find(std::string(key.str())); found != inner.parameters.end())
        found->second = file_.parameter_of(found->first, node, scope.parameters);
      else
        file_.fail_at(node, "block '{}' has no parameter '{}'{}", which, key.str(),
                      suggestion(key.str(), parameters_and_options(inner.parameters)));
    }
    const int before = graph_.output();
    add_layers(*layers, inner);
    INVARIANT(graph_.output() > before, "block {} added nothing", which);
    return graph_.output();
  }

  static std::vector<std::string> parameters_and_options(const BlockParameters& parameters) {
    std::vector<std::string> known = names_of(block_use_options());
    for (const auto& entry : parameters) known.push_back(entry.first);
    return known;
  }

  std::string name_of(const toml::table& table, const std::string& kind, Scope& scope) const {
    const toml::node* node = table.get("name");
    if (node == nullptr) return fmt::format("{}_{}", kind, ++scope.unnamed[kind]);
    const std::string name = file_.text_of(*node, "name");
    if (name == kData)
      file_.fail_at(*node, "the name '{}' is reserved for the data: give the layer another name.", kData);
    return name;
  }

  std::vector<int> inputs_of(const toml::table& table, const Scope& scope) const {
    const toml::node* one = table.get("input");
    const toml::node* several = table.get("inputs");
    if (one != nullptr && several != nullptr)
      file_.fail_at(*several, "has both 'input' and 'inputs': write one of them.");
    if (one != nullptr) return {value_named(*one, "input", table, scope)};
    if (several == nullptr) return {scope.values.size() == 1 ? scope.values.at(kData) : graph_.output()};
    std::vector<int> values;
    if (!several->is_array()) file_.fail_at(*several, "'inputs' must be a list of names.");
    for (const toml::node& node : *several->as_array())
      values.push_back(value_named(node, "inputs", table, scope));
    return values;
  }

  int value_named(const toml::node& node, const std::string& key, const toml::table& reader,
                  const Scope& scope) const {
    const std::string name = file_.text_of(node, key);
    if (const auto found = scope.values.find(name); found != scope.values.end()) return found->second;
    if (const std::string mistake = order_mistake(*scope.tables, reader, name); !mistake.empty())
      file_.fail_at(node, "{}", mistake);
    std::vector<std::string> known;
    for (const auto& entry : scope.values) known.push_back(entry.first);
    file_.fail_at(node, "no layer before this one is named '{}'{}", name, suggestion(name, known));
  }

  void check_ends() {
    const auto& nodes = graph_.nodes();
    for (size_t i = 0; i < nodes.size(); ++i) {
      file_.set_layer(nodes[i].name);
      if (graph_.readers(static_cast<int>(i) + 1) == 0)
        file_.fail_at(*tables_[i],
                      "nothing reads its output, and it is not the last layer. An auxiliary output has a "
                      "loss_weight, as in loss_weight = 0.3.");
    }
    for (const Graph::Output& output : graph_.outputs()) check_output(output.value);
  }

  void check_output(int value) {
    const size_t layer = static_cast<size_t>(value) - 1;
    const Graph::Node& node = graph_.nodes()[layer];
    const Shape& output = node.output.shape;
    if (output_.accepts(output)) return;
    file_.set_layer(node.name);
    const std::string which = value == graph_.output() ? "the last layer" : "this output";
    if (output_.positions.rank() > 0)
      file_.fail_at(
          *tables_[layer],
          "{} gives {} for a sample, but the data needs {}, an answer at each position: end with a linear "
          "layer or a 1x1 convolution whose outputs or filters are \"classes\", and keep the extents.",
          which, to_string(output), to_string(output_.shape()));
    file_.fail_at(*tables_[layer], "{} gives {} for a sample, but the data needs ({}): {}.", which,
                  to_string(output), output_.width, right_end(*node.layer, output));
  }

  /// The remedy for a layer that does not have the required output.
  static std::string right_end(const Layer& last, const Shape& output) {
    if (last.kind() == "linear")
      return fmt::format("{}set its outputs = \"classes\"",
                         output.rank() > 1 ? "put a flatten layer in front of it and " : "");
    return fmt::format("end with {}a linear layer with outputs = \"classes\"",
                       output.rank() > 1 ? "a flatten layer and " : "");
  }

  ValueReader file_;
  NetworkOutput output_;
  Graph graph_;
  const toml::table* blocks_ = nullptr;
  std::vector<const toml::table*> tables_;  // by layer of the graph
};

}  // namespace

Graph build_model_file(const std::string& path, const Value& input, const NetworkOutput& output,
                       uint64_t seed) {
  return Reader(path, input, output, seed).read();
}

}  // namespace lockstep
