#pragma once

#include "models/registry.h"

namespace lockstep {

// The builders of the registered models, one file each.

Graph build_mlp(const Value& input, int64_t outputs, const std::map<std::string, ModelValue>& keys,
                uint64_t seed);
Graph build_cnn(const Value& input, int64_t outputs, const std::map<std::string, ModelValue>& keys,
                uint64_t seed);

}  // namespace lockstep
