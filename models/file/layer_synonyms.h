#pragma once

#include "src/core/suggest.h"

namespace lockstep {

// Names that users of PyTorch, Keras and others type into a model file, and what they are called here. They
// are only suggested: a model file that is read has one name for each thing.

Synonyms layer_kind_synonyms();
/// Of options and of `kind`, `name`, `input` and `inputs`. What means several things means the first that the
/// layer has.
Synonyms layer_option_synonyms();
Synonyms initializer_synonyms();

}  // namespace lockstep
