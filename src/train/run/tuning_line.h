#pragma once

#include <optional>
#include <string>

#include "src/graph/parameters.h"
#include "src/train/checkpoint/initial_values.h"

namespace lockstep {

/// The header line on fine-tuning: parameters that were loaded from a checkpoint, left at their
/// initialization, frozen, or have a scaled learning rate; "" if there are none.
std::string describe_tuning(const std::optional<InitialValues>& initial, const Graph& graph,
                            const ParameterLayout& layout);

}  // namespace lockstep
