#pragma once

#include <string>

#include "src/core/suggest.h"

namespace lockstep {

// Names that users of PyTorch, Keras and other trainers give to config keys, and what they are called here.
// They are only suggested: a config that is read has one name for each thing.

/// The key that an unknown key stands for: its last part in another section, the same words, a familiar name
/// or the nearest: "train.learning_rate" -> "optimizer.lr". "" when there is none.
std::string meant_key(const std::string& key);

/// The section that an unknown one stands for, "training" -> "train"; "" when there is none.
std::string meant_section(const std::string& section);

/// Familiar names of keys, by their last part, and the whole keys that they stand for.
Synonyms familiar_keys();

}  // namespace lockstep
