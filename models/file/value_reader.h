#pragma once

#include <fmt/core.h>

#include <toml++/toml.h>
#include <cstdint>
#include <string>
#include <utility>

#include "models/file/layer_options.h"
#include "src/core/error.h"

namespace lockstep {

/// Converts the values in the tables of a model file. Every function throws Error(usage) with the file, the
/// line and the current layer.
///
/// `block`: the parameters of the enclosing block, which values may refer to; null outside blocks.
class ValueReader {
 public:
  /// classes: the number that "classes" stands for.
  ValueReader(const std::string& path, int64_t classes) : path_(path), classes_(classes) {}

  const std::string& path() const { return path_; }
  /// The layer that messages name; "": none.
  void set_layer(const std::string& name) { layer_ = name; }

  template <typename... Args>
  [[noreturn]] void fail_at(const toml::node& node, fmt::format_string<Args...> format,
                            Args&&... args) const {
    const std::string where = layer_.empty() ? "" : "layer '" + layer_ + "': ";
    fail(ExitCode::usage, "{}:{}: {}{}", path_, node.source().begin.line, where,
         fmt::format(format, std::forward<Args>(args)...));
  }

  std::string text_of(const toml::node& node, const std::string& key) const;
  double number_of(const toml::node& node, const std::string& key) const;
  /// An integer; `standard` if there is none.
  int64_t count_of(const toml::table& table, const std::string& key, int64_t standard,
                   const BlockParameters* block) const;

  const LayerKind& kind_of(const toml::table& table) const;
  const LayerOption& option_of(const LayerKind& kind, const std::string& key, const toml::node& node) const;
  OptionValue value_of(const LayerOption& option, const toml::node& node, const BlockParameters* block) const;
  /// A block parameter's value: a number, true or false, or a product of the enclosing parameters.
  OptionValue parameter_of(const std::string& name, const toml::node& node,
                           const BlockParameters& around) const;

 private:
  [[noreturn]] void fail_without_kind(const toml::table& table) const;
  OptionValue initializer_of(const LayerOption& option, const toml::node& node) const;
  Extents extents_of(const LayerOption& option, const toml::array& array, const BlockParameters* block) const;
  OptionValue expression(const toml::node& node, const BlockParameters& around) const;

  std::string path_;
  int64_t classes_;
  std::string layer_;
};

}  // namespace lockstep
