#pragma once

#include <string>
#include <vector>

#include "launch/config/config_value.h"
#include "src/train/augment/augment_spec.h"

namespace lockstep {

/// A list of augmentations, each a name or { name = NAME, OPTION = NUMBER, ... }; one without a list, or [].
std::vector<AugmentSpec> read_augment(const GivenValue& given);
/// With every option.
std::string toml_text(const std::vector<AugmentSpec>& augment);

/// Lines for the help, one for each kind: its options with their defaults, and what it does.
std::vector<std::string> augment_help();

}  // namespace lockstep
