#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "launch/config/config_value.h"
#include "models/registry.h"

namespace lockstep {

// The keys of [model] that belong to the chosen built-in model. They are in the registry of models, not in
// the option table.

/// The name of a built-in model. Rejects other names, suggesting the nearest one.
std::string known_model(const GivenValue& given);

/// A key of [model] as given by the user, stored until the model is known.
struct GivenModelKey {
  ModelValue value;
  std::string where;
};
ModelValue read_model_value(const GivenValue& given);

/// Stores the keys in the spec, converted to their types. Throws Error(usage) for a key that the model does
/// not have, or of another type.
void set_model_keys(ModelSpec& spec, const std::map<std::string, GivenModelKey>& keys);

/// The effective keys of the spec's built-in model, as ("hidden", "[64]"); empty for a model file.
std::vector<std::pair<std::string, std::string>> model_key_texts(const ModelSpec& spec);

std::string toml_text(const ModelValue& value);

}  // namespace lockstep
