#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/graph/layers/layers.h"

namespace lockstep {

/// What an option of a layer in a model file may be.
enum class OptionType {
  flag,         ///< true or false: bool
  count,        ///< an integer: int64_t
  width,        ///< an integer, or "classes" for the number of outputs that the data needs: int64_t
  pair,         ///< an integer, or two [height, width]: std::array<int64_t, 2>
  number,       ///< double
  initializer,  ///< a name of initializer_names(): std::string
};
using OptionValue = std::variant<bool, int64_t, double, std::string, std::array<int64_t, 2>>;

struct LayerOption {
  std::string name, description;
  OptionType type;
  std::optional<OptionValue> standard;  ///< none: the option is required
};

/// What the maker of a layer gets: every option is there and of its type.
struct LayerArguments {
  std::string name;  ///< the layer's
  uint64_t seed = 0;
  std::map<std::string, OptionValue> values;

  template <typename T>
  const T& get(const std::string& option) const {
    return std::get<T>(values.at(option));
  }
};

/// A kind of layer in a model file. Parsing, help and documentation read this table and nothing else.
struct LayerKind {
  std::string name, description;  ///< name: Layer::kind()
  std::vector<LayerOption> options;
  std::unique_ptr<Layer> (*make)(const LayerArguments& arguments);
};

const std::vector<LayerKind>& layer_kinds();

/// What every layer of a model file may have besides the options of its kind, each with its meaning.
struct CommonOption {
  std::string name, type, description;
};
const std::vector<CommonOption>& common_layer_options();

/// "an integer or [height, width]".
const char* type_name(OptionType type);
/// As in a model file.
std::string to_string(const OptionValue& value);

/// The names that an option of type `initializer` may have.
const std::vector<std::string>& initializer_names();

}  // namespace lockstep
