#pragma once

#include <map>
#include <string>
#include <vector>

#include "launch/config/config_value.h"

namespace lockstep {

// Which parameters are trained, and how fast.

/// A pattern of names, or a list of them; [] for none.
std::vector<std::string> read_patterns(const GivenValue& given);
std::string patterns_text(const std::vector<std::string>& patterns);

/// { PATTERN = NUMBER above 0, ... }. A dot in a pattern may stand outside quotes, where TOML makes it a
/// table in the table.
void set_scales(std::map<std::string, double>& scales, const GivenValue& given);
std::string toml_text(const std::map<std::string, double>& scales);

}  // namespace lockstep
