#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/config/config_value.h"
#include "src/train/run/options.h"

namespace lockstep {

// Config values that are tables or have several spellings. A table changes only the members it names, so that
// --set data.test.x=/images keeps the files that the config names.

/// "FILE:/GROUP", "FILE" (then the group is /SPLIT), or { files = [...] or "FILE", x = "...", y = "..." }; ""
/// unsets.
void set_source(std::optional<DataSource>& source, const std::string& split, const GivenValue& given);
void set_source(DataSource& source, const std::string& split, const GivenValue& given);
/// "" when there is none.
std::string toml_text(const DataSource& source);
std::string toml_text(const std::optional<DataSource>& source);

/// "unit", "none", or { mean = [...], std = [...] } with one number for each channel, or one for all.
Normalize read_normalize(const GivenValue& given);
std::string toml_text(const Normalize& normalize);

/// A name, or a list of names; at least one.
std::vector<std::string> read_names(const GivenValue& given);
/// One name as a text, several as a list.
std::string toml_text(const std::vector<std::string>& names);

/// "none", "balanced", or one number for each class.
ClassWeights read_class_weights(const GivenValue& given);
std::string toml_text(const ClassWeights& weights);

/// One number, or one for each label; empty when it is 1.
std::vector<double> read_positive_weights(const GivenValue& given);
std::string positive_weights_text(const std::vector<double>& weights);

/// "none", or an integer.
std::optional<int64_t> read_ignore_label(const GivenValue& given);
std::string ignore_label_text(const std::optional<int64_t>& label);

/// "auto" (then empty), or names of metrics.
std::vector<std::string> read_metrics(const GivenValue& given);
std::string metrics_text(const std::vector<std::string>& names);
/// A pattern of names, or a list of them; [] for none.
std::vector<std::string> read_patterns(const GivenValue& given);
std::string patterns_text(const std::vector<std::string>& patterns);

/// { PATTERN = NUMBER above 0, ... }. A dot in a pattern may stand outside quotes, where TOML makes it a
/// table in the table.
void set_scales(std::map<std::string, double>& scales, const GivenValue& given);
std::string toml_text(const std::map<std::string, double>& scales);

/// false, or { metric, patience, min_delta }.
void set_early_stop(std::optional<EarlyStopSpec>& early_stop, const GivenValue& given);
std::string toml_text(const std::optional<EarlyStopSpec>& early_stop);

}  // namespace lockstep
