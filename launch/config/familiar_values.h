#pragma once

#include <string_view>

#include "src/core/text/suggest.h"

namespace lockstep {

/// Names of the values of a config key or option in PyTorch, Keras and other trainers, and their names here:
/// for run.device, gpu -> cuda. They are used in suggestions only.
Synonyms value_synonyms(std::string_view key);

}  // namespace lockstep
