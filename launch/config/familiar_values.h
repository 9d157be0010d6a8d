#pragma once

#include <string_view>

#include "src/core/suggest.h"

namespace lockstep {

/// Names that users of PyTorch, Keras and other trainers give to the values of a config key or an option, and
/// what they are called here: of run.device, gpu -> cuda. They are only suggested.
Synonyms value_synonyms(std::string_view key);

}  // namespace lockstep
