#include "models/registry.h"

#include <fmt/ranges.h>

#include "models/file/model_file.h"
#include "models/zoo/architectures.h"
#include "src/core/error.h"
#include "src/core/suggest.h"

namespace lockstep {

const std::vector<ModelEntry>& model_registry() {
  static const std::vector<ModelEntry> registry = {
      {"mlp",
       "multilayer perceptron",
       {{"hidden", "sizes of the hidden layers", std::vector<int64_t>{64}},
        {"activation", "kind of an activation layer: relu, sigmoid, tanh, gelu, ...", std::string("relu")},
        {"dropout", "probability of zero after each hidden layer", 0.0}},
       build_mlp},
      {"cnn",
       "small convolutional network: 3x3 convolutions, each with ReLU and 2x2 max pooling, then a linear "
       "layer",
       {{"filters", "filters of each convolution", std::vector<int64_t>{32, 64}},
        {"dropout", "probability of zero before the linear layer", 0.0}},
       build_cnn},
  };
  return registry;
}

namespace {

constexpr Synonym kModels[] = {
    {"convnet", "cnn"},
    {"conv", "cnn"},
    {"lenet", "cnn"},
    {"lenet5", "cnn"},
    {"dnn", "mlp"},
    {"dense", "mlp"},
    {"perceptron", "mlp"},
    {"fully_connected", "mlp"},
    {"linear", "", "an mlp with model.hidden = [] is one linear layer."},
};

// A synonym of several keys means the one that the model has.
constexpr Synonym kModelKeys[] = {
    {"hidden_size", "hidden"},
    {"hidden_sizes", "hidden"},
    {"hidden_units", "hidden"},
    {"hidden_layers", "hidden"},
    {"hidden_dim", "hidden"},
    {"layers", "hidden"},
    {"units", "hidden"},
    {"width", "hidden"},
    {"act", "activation"},
    {"nonlinearity", "activation"},
    {"dropout_rate", "dropout"},
    {"drop_rate", "dropout"},
    {"p", "dropout"},
    {"channels", "filters"},
    {"layers", "filters"},
    {"width", "filters"},
    {"num_filters", "filters"},
};

const char* type_name(const ModelValue& value) {
  static constexpr const char* kNames[] = {"true or false", "an integer", "a number", "a string",
                                           "a list of integers"};
  return kNames[value.index()];
}

/// The user's value with the type of the default; an integer is accepted as a number.
ModelValue converted(const std::string& model, const ModelKey& key, const ModelValue& value) {
  if (value.index() == key.standard.index()) return value;
  if (std::holds_alternative<double>(key.standard) && std::holds_alternative<int64_t>(value))
    return static_cast<double>(std::get<int64_t>(value));
  if (std::holds_alternative<std::vector<int64_t>>(key.standard) && std::holds_alternative<int64_t>(value))
    return std::vector<int64_t>{std::get<int64_t>(value)};
  fail(ExitCode::usage, "model.{} of model '{}' must be {}, not {}.", key.name, model,
       type_name(key.standard), type_name(value));
}

std::map<std::string, ModelValue> complete_keys(const ModelEntry& entry, const ModelSpec& spec) {
  std::map<std::string, ModelValue> keys;
  std::vector<std::string> known;
  for (const ModelKey& key : entry.keys) {
    known.push_back(key.name);
    const auto given = spec.keys.find(key.name);
    keys[key.name] = given == spec.keys.end() ? key.standard : converted(entry.name, key, given->second);
  }
  for (const auto& [name, value] : spec.keys)
    if (!keys.contains(name))
      fail(ExitCode::usage, "model '{}' has no key 'model.{}'{}", entry.name, name,
           suggestion(name, known, model_key_synonyms()));
  return keys;
}

}  // namespace

Synonyms model_synonyms() { return kModels; }
Synonyms model_key_synonyms() { return kModelKeys; }

Value with_channels(const Value& input, const NetworkOutput& output, int axes) {
  const Shape& shape = input.shape;
  const bool is_sequence =
      axes == 2 && output.positions.rank() == 1 && shape.rank() > 0 && output.positions[0] == shape[0];
  // Token ids become vectors, whose elements are the channels.
  const bool is_tokens = axes != 2 && input.dtype == DType::i32;
  if (shape.rank() != axes || is_sequence || is_tokens) return input;
  std::vector<int64_t> extents(shape.extents().begin(), shape.extents().end());
  extents.push_back(1);
  return {input.dtype, Shape(extents)};
}

Graph build_model(const ModelSpec& spec, const Value& input, const NetworkOutput& output, uint64_t seed) {
  INVARIANT(output.width > 0, "a model with {} outputs", output.width);
  if (!spec.file.empty()) {
    if (!spec.keys.empty())
      fail(ExitCode::usage, "model.{} does not apply: the model comes from {}, which contains its options.",
           spec.keys.begin()->first, spec.file);
    return build_model_file(spec.file, input, output, seed);
  }
  std::vector<std::string> known;
  for (const ModelEntry& entry : model_registry()) {
    known.push_back(entry.name);
    if (entry.name != spec.name) continue;
    const auto keys = complete_keys(entry, spec);
    try {
      return entry.build(with_channels(input, output, entry.axes), output.elements(), keys, seed);
    } catch (const Error& error) {
      throw Error(error.code(), fmt::format("model '{}' for samples of shape {}: {}", entry.name,
                                            to_string(input.shape), error.what()));
    }
  }
  fail(ExitCode::usage, "unknown model '{}'{}", spec.name, suggestion(spec.name, known, model_synonyms()));
}

}  // namespace lockstep
