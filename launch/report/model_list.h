#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "launch/report/report.h"
#include "models/registry.h"

namespace lockstep {

/// The built-in model with this name. Throws Error(usage) with the nearest known one if there is none.
const ModelEntry& model_named(const std::string& name);

/// The number of trained values of a model for its standard data. Builds the graph; allocates no weights.
int64_t standard_parameters(const ModelEntry& model);

/// A table of models, at most 80 columns wide: name, parameters, description.
std::string model_table(const std::vector<ModelEntry>& models);
/// A model's description, its standard data, and its keys with their defaults, in at most 80 columns.
std::string model_help(const ModelEntry& model);
/// Everything about models, for programs.
Json model_json(const std::vector<ModelEntry>& models);

}  // namespace lockstep
