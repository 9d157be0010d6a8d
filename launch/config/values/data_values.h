#pragma once

#include <optional>
#include <string>

#include "launch/config/config_value.h"
#include "src/train/run/options.h"

namespace lockstep {

/// "FILE:/GROUP", "FILE" (then the group is /SPLIT), or { files = [...] or "FILE", x = "...", y = "..." }; ""
/// unsets. A table changes only the members it names, so that --set data.test.x=/images keeps the files that
/// the config names.
void set_source(std::optional<DataSource>& source, const std::string& split, const GivenValue& given);
void set_source(DataSource& source, const std::string& split, const GivenValue& given);
/// "" when there is none.
std::string toml_text(const DataSource& source);
std::string toml_text(const std::optional<DataSource>& source);

/// "unit", "none", or { mean = [...], std = [...] } with one number for each channel, or one for all.
Normalize read_normalize(const GivenValue& given);
std::string toml_text(const Normalize& normalize);

}  // namespace lockstep
