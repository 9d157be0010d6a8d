#pragma once

#include <string>

#include "src/core/text/suggest.h"

namespace lockstep {

// Names of config keys in PyTorch, Keras and other trainers, and their names here. They are used in
// suggestions only and are not accepted in configs.

/// The key probably meant by an unknown one: its last part in another section, the same words, a familiar
/// name or the nearest name. "train.learning_rate" -> "optimizer.lr". "" if there is none.
std::string meant_key(const std::string& key);

/// The section probably meant by an unknown one, "training" -> "train"; "" if there is none.
std::string meant_section(const std::string& section);

/// Familiar names of keys, by their last part, and the full keys that they stand for.
Synonyms familiar_keys();

}  // namespace lockstep
