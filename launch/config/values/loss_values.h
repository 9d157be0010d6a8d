#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/config/config_value.h"
#include "src/train/run/options.h"

namespace lockstep {

// Weights of targets in the loss.

/// "none", "balanced", or one number per class.
ClassWeights read_class_weights(const GivenValue& given, const std::string& none = "none");
std::string toml_text(const ClassWeights& weights, const std::string& none = "none");

/// One number, or one per label; empty if it is 1.
std::vector<double> read_positive_weights(const GivenValue& given);
std::string positive_weights_text(const std::vector<double>& weights);

/// "none", or an integer.
std::optional<int64_t> read_ignore_label(const GivenValue& given);
std::string ignore_label_text(const std::optional<int64_t>& label);

}  // namespace lockstep
