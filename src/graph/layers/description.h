#pragma once

#include <array>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "src/core/range.h"
#include "src/graph/layer.h"

namespace lockstep {

/// A number for each spatial axis of a layer, outermost first. A single number applies to all axes.
class Extents {
 public:
  static constexpr int kMaxAxes = 3;

  Extents(int64_t all = 1) : values_{all, all, all}, axes_(1) {}
  Extents(std::initializer_list<int64_t> values);

  int64_t operator[](int axis) const { return values_[static_cast<size_t>(axis)]; }
  /// Number of extents given.
  int axes() const { return axes_; }

 private:
  std::array<int64_t, kMaxAxes> values_{};
  int axes_;
};

/// Zeros around the input of a layer with windows: a number for each spatial axis, on both of its sides, or
/// "same": as many as it takes for an output of ceil(input / stride) elements.
class Padding {
 public:
  Padding(int64_t all = 0) : extents_(all) {}
  Padding(std::initializer_list<int64_t> values) : extents_(values) {}
  Padding(const Extents& extents) : extents_(extents) {}
  static Padding same() {
    Padding result;
    result.same_ = true;
    return result;
  }

  bool is_same() const { return same_; }
  /// The numbers, unless it is "same".
  const Extents& extents() const { return extents_; }

 private:
  Extents extents_;
  bool same_ = false;
};

/// The possible types of an option.
using OptionValue = std::variant<bool, int64_t, double, Extents, Padding, Init>;
/// The text of a value in a model file.
std::string to_string(const OptionValue& value);

/// Integers not below `min`; the upper bound keeps products of three options within int64_t.
inline Range at_least(int64_t min) { return {static_cast<double>(min), 0x1p20}; }

/// An option of a kind of layer, for the model file, the help and the documentation.
struct LayerOption {
  std::string name, description;
  std::optional<OptionValue> standard;  ///< none: the option is required
  OptionValue type;                     ///< a value of the option's type
  Range range = {};                     ///< of a number, or of each of several extents
  bool may_be_classes = false;  ///< whether "classes" stands for the number of outputs that the data needs
};

/// The identity of a layer, from which its random numbers are derived.
struct LayerIdentity {
  std::string name;
  uint64_t seed = 0;  ///< run.seed
};

/// A layer with its options that is not in a graph yet.
struct NewLayer {
  std::string kind;
  /// Throws Error(usage) for an option that is out of range.
  std::function<std::unique_ptr<Layer>(const LayerIdentity&)> make;
};

/// A kind of layer, for model files and the documentation.
struct LayerKind {
  std::string name, description;
  std::vector<LayerOption> options;
  /// `values` must have every required option, each with its type.
  std::function<NewLayer(const std::map<std::string, OptionValue>& values)> with;
};

/// Throws Error(usage) naming the option if the value is out of range.
void check_range(const char* option, const OptionValue& value, const Range& range);

/// A kind of layer and its options, the only description of them. Options is a struct whose initial values
/// are the defaults.
///
///   const Description<PoolOptions> max_pool2d = {
///       "max_pool2d", "the largest value of each window",
///       {{"window", &PoolOptions::window, "height and width", at_least(1)}}, make_layer<MaxPool>};
///
///   graph.add("pool1", layers::max_pool2d({.window = {3, 3}}));
template <typename Options>
struct Description {
  struct Field {
    template <typename T>
    Field(const char* name_of_it, T Options::*member, const char* help, const Range& values = {},
          bool is_required = false, bool or_classes = false)
        : name(name_of_it),
          description(help),
          range(values),
          required(is_required),
          may_be_classes(or_classes),
          get([member](const Options& options) { return OptionValue(options.*member); }),
          set([member](Options& options, const OptionValue& value) {
            options.*member = std::get<T>(value);
          }) {}

    const char *name, *description;
    Range range;
    bool required, may_be_classes;
    std::function<OptionValue(const Options&)> get;
    std::function<void(Options&, const OptionValue&)> set;
  };
  using Make = std::unique_ptr<Layer> (*)(const Options& options, const LayerIdentity& identity);

  const char* kind;
  const char* description;
  std::vector<Field> fields;
  Make make;

  /// Makes the layer with these options.
  NewLayer operator()(const Options& options = {}) const {
    return {kind, [this, options](const LayerIdentity& identity) {
              for (const Field& field : fields) check_range(field.name, field.get(options), field.range);
              return make(options, identity);
            }};
  }

  /// The same with options by name.
  LayerKind by_name() const;
};

template <typename Options>
LayerKind Description<Options>::by_name() const {
  LayerKind result{kind, description, {}, nullptr};
  for (const Field& field : fields) {
    const OptionValue standard = field.get(Options{});
    result.options.push_back({field.name, field.description,
                              field.required ? std::nullopt : std::optional(standard), standard, field.range,
                              field.may_be_classes});
  }
  result.with = [this](const std::map<std::string, OptionValue>& values) {
    Options options;
    for (const Field& field : fields) {
      const auto given = values.find(field.name);
      if (given != values.end()) field.set(options, given->second);
    }
    return (*this)(options);
  };
  return result;
}

/// Options of a layer that has none.
struct NoOptions {};

/// Description::make for a class whose constructor takes the options.
template <typename LayerClass, typename Options>
std::unique_ptr<Layer> make_layer(const Options& options, const LayerIdentity&) {
  if constexpr (std::is_same_v<Options, NoOptions>)
    return std::make_unique<LayerClass>();
  else
    return std::make_unique<LayerClass>(options);
}

}  // namespace lockstep
