#pragma once

#include "models/registry.h"

namespace lockstep {

// The builders behind the registry: one file each in this folder.

Graph build_mlp(const Shape& input, int64_t outputs, const std::map<std::string, ModelValue>& keys,
                uint64_t seed);
Graph build_cnn(const Shape& input, int64_t outputs, const std::map<std::string, ModelValue>& keys,
                uint64_t seed);

}  // namespace lockstep
