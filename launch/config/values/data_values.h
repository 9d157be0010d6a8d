#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/config/config_value.h"
#include "src/train/run/options.h"

namespace lockstep {

/// "FILE:/GROUP", "FILE" (with the group /SPLIT), or a table { files = [...] or "FILE", x = "...", y = "...",
/// sample_axis = N or "last", rows = "FIRST:END", window = N, stride = N, window_target = "last" or "all" };
/// "" unsets it. A table changes only the members it has, so that --set data.test.x=/images keeps the files
/// of the config.
void set_source(std::optional<DataSource>& source, const std::string& split, const GivenValue& given);
void set_source(DataSource& source, const std::string& split, const GivenValue& given);
/// "" if there is none.
std::string toml_text(const DataSource& source);
std::string toml_text(const std::optional<DataSource>& source);

/// "unit", "none", "standardize", or { mean = [...], std = [...] } with one number per channel, or one for
/// all.
Normalize read_normalize(const GivenValue& given);
std::string toml_text(const Normalize& normalize);

/// "auto", "full", "window", "chunk" or false; true is "auto".
Shuffle read_shuffle(const GivenValue& given);
std::string toml_text(Shuffle shuffle);

/// Ascending lengths, at least 1, as a list, which may be empty.
std::vector<int64_t> read_buckets(const GivenValue& given);
std::string toml_text(const std::vector<int64_t>& lengths);

/// "none" or a finite number.
std::optional<double> read_missing(const GivenValue& given);
std::string missing_text(const std::optional<double>& missing);

}  // namespace lockstep
