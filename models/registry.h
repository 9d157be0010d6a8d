#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "src/core/suggest.h"
#include "src/graph/graph.h"
#include "src/graph/network_output.h"

namespace lockstep {

using ModelValue = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;

/// The [model] table of a config: a built-in name with its keys, or a model file.
struct ModelSpec {
  std::string name = "cnn";
  std::string file = {};                        ///< absolute; when set, name is empty
  std::map<std::string, ModelValue> keys = {};  ///< the model's own keys, for example hidden = [64]
};

/// A key of a built-in model.
struct ModelKey {
  std::string name, description;
  ModelValue standard;
};

struct ModelEntry {
  std::string name, description;
  std::vector<ModelKey> keys;
  /// input: one sample, channels-last; outputs: classes or target width; every key is present and of its
  /// type.
  Graph (*build)(const Value& input, int64_t outputs, const std::map<std::string, ModelValue>& keys,
                 uint64_t seed);
  int axes = 2;  ///< spatial axes of its samples, see with_channels()
};

/// All built-in models; adding one is one file and one line here.
const std::vector<ModelEntry>& model_registry();

/// Familiar names of built-in models and of their keys.
Synonyms model_synonyms();
Synonyms model_key_synonyms();

/// A sample as a model along so many spatial axes reads it: one that has only these axes gets a channel axis,
/// as of an image (H, W) or a signal (length). Samples with an output at each place of their first axis are
/// sequences of vectors, not images.
Value with_channels(const Value& input, const NetworkOutput& output, int axes);

/// Builds a model. A built-in model has a vector as output; a model file may have an output at each position.
/// Throws Error(usage) for an unknown model or key (with the nearest known one), a value of the wrong type,
/// or a network that does not fit the data: the message names the layer.
Graph build_model(const ModelSpec& spec, const Value& input, const NetworkOutput& output, uint64_t seed);
inline Graph build_model(const ModelSpec& spec, const Shape& input, const NetworkOutput& output,
                         uint64_t seed) {
  return build_model(spec, Value{DType::f32, input}, output, seed);
}

}  // namespace lockstep
