#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "models/naming.h"
#include "src/core/range.h"
#include "src/core/text/suggest.h"
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

/// A model to build: its data, and its keys.
struct ModelRequest {
  Value input;                                  ///< one sample, channels-last
  NetworkOutput output;                         ///< what the targets require
  std::map<std::string, ModelValue> keys = {};  ///< each of the model's keys, of its own type
  uint64_t seed = 0;

  // The value of a key, which must be one of the model's.
  bool flag(const std::string& key) const { return std::get<bool>(keys.at(key)); }
  int64_t integer(const std::string& key) const { return std::get<int64_t>(keys.at(key)); }
  double number(const std::string& key) const { return std::get<double>(keys.at(key)); }
  const std::string& text(const std::string& key) const { return std::get<std::string>(keys.at(key)); }
  const std::vector<int64_t>& integers(const std::string& key) const {
    return std::get<std::vector<int64_t>>(keys.at(key));
  }

  /// Throws Error(usage) unless the text is one of these; returns it.
  const std::string& choice(const std::string& key, const std::vector<std::string>& known) const;
  /// Throws Error(usage) unless the list has so many integers, all of them positive; returns it.
  const std::vector<int64_t>& list(const std::string& key, size_t min_count, size_t max_count) const;
  /// Throws Error(usage) unless the number is in the range; returns it.
  double number_in(const std::string& key, const Range& range) const;
};

/// Data that a model fits, and values of its keys.
struct ModelUse {
  Value input;           ///< one sample, channels-last
  NetworkOutput output;  ///< outputs at each position for models that have them
  std::map<std::string, ModelValue> keys = {};
};

struct ModelEntry {
  std::string name, description;
  std::string paper;  ///< where the network was published: "Name et al. 2015, arXiv:1502.01852"; may be empty
  std::vector<ModelKey> keys;
  Graph (*build)(const ModelRequest& request);
  /// The data for which it was published: what `model list` and `model show` assume.
  ModelUse standard;
  /// A version with every kind of block that computes a sample in well under a millisecond, for tests.
  ModelUse small;
  /// Names of weights in files of PyTorch's libraries: the first are those that `model export` writes. Empty:
  /// the same as here.
  std::vector<Naming> namings = {};
};

/// All built-in models; adding one is one file in zoo/ and one line in zoo/architectures.h.
const std::vector<ModelEntry>& model_registry();

/// The model with this name, or null.
const ModelEntry* find_model(const std::string& name);

/// The namings of the spec's model; never empty. A model file has Lockstep's own names.
std::vector<Naming> namings_of(const ModelSpec& spec);

/// Familiar names of built-in models and of their keys.
Synonyms model_synonyms();
Synonyms model_key_synonyms();

/// A sample as a model along so many spatial axes reads it: one that has only these axes gets a channel axis,
/// as of an image (H, W) or a signal (length). Samples with an output at each place of their first axis are
/// sequences of vectors, not images.
Value with_channels(const Value& input, const NetworkOutput& output, int axes);

/// Builds a model, whose output is a vector or has an output at each position. Throws Error(usage) for an
/// unknown model or key (with the nearest known one), a value of the wrong type, or a network that does not
/// fit the data: the message names the layer.
Graph build_model(const ModelSpec& spec, const Value& input, const NetworkOutput& output, uint64_t seed);
inline Graph build_model(const ModelSpec& spec, const Shape& input, const NetworkOutput& output,
                         uint64_t seed) {
  return build_model(spec, Value{DType::f32, input}, output, seed);
}

}  // namespace lockstep
