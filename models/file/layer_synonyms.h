#pragma once

#include "src/core/text/suggest.h"

namespace lockstep {

// Names from PyTorch, Keras and other libraries, and their names here. They are used in suggestions only and
// are not accepted in model files.

Synonyms layer_kind_synonyms();
/// Synonyms of options and of `kind`, `name`, `input` and `inputs`. One with several meanings stands for the
/// first that the layer has.
Synonyms layer_option_synonyms();
Synonyms initializer_synonyms();

}  // namespace lockstep
