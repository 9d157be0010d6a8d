#pragma once

#include <cstdint>

#include "src/graph/parameters.h"

namespace lockstep {

/// Of a network, without allocating any of them.
inline int64_t parameter_count(const Graph& graph) { return ParameterLayout(graph).parameter_count; }

}  // namespace lockstep
