#pragma once

#include <map>
#include <string>
#include <vector>

#include "launch/config/config_value.h"

namespace lockstep {

// The parameters that are trained, and their learning rates.

/// A pattern of names, or a list of them; [] for none.
std::vector<std::string> read_patterns(const GivenValue& given);
std::string patterns_text(const std::vector<std::string>& patterns);

/// { PATTERN = NUMBER above 0, ... }. A pattern with a dot may be unquoted, which TOML parses as nested
/// tables.
void set_scales(std::map<std::string, double>& scales, const GivenValue& given);
std::string toml_text(const std::map<std::string, double>& scales);

}  // namespace lockstep
