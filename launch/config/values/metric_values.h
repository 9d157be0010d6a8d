#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/config/config_value.h"
#include "src/train/run/options.h"

namespace lockstep {

/// "auto" (empty), or names of metrics.
std::vector<std::string> read_metrics(const GivenValue& given);
std::string metrics_text(const std::vector<std::string>& names);

/// false, or { metric, patience, min_delta }.
void set_early_stop(std::optional<EarlyStopSpec>& early_stop, const GivenValue& given);
std::string toml_text(const std::optional<EarlyStopSpec>& early_stop);

}  // namespace lockstep
