#pragma once

#include <optional>
#include <string>

#include "src/graph/parameters.h"
#include "src/train/checkpoint/initial_values.h"

namespace lockstep {

/// What a run loaded from a checkpoint, left at its initialization, froze and scaled the learning rate of, in
/// one line for its header; "" where there is none of it.
std::string describe_tuning(const std::optional<InitialValues>& initial, const Graph& graph,
                            const ParameterLayout& layout);

}  // namespace lockstep
