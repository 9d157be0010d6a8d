#pragma once

#include <string>
#include <vector>

#include "launch/config/config_value.h"

namespace lockstep {

// Values that are a single item or a list.

/// A number, or a list of numbers; at least one.
std::vector<double> read_numbers(const GivenValue& given);
/// Always as a list.
std::string number_array(const std::vector<double>& numbers);

/// A name, or a list of names; at least one.
std::vector<std::string> read_names(const GivenValue& given);
/// One name as a text, several as a list.
std::string toml_text(const std::vector<std::string>& names);

}  // namespace lockstep
