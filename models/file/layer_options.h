#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/graph/layers/description.h"

namespace lockstep {

/// Options that every layer of a model file may have in addition to those of its kind.
struct CommonOption {
  std::string name, type, description;
};
const std::vector<CommonOption>& common_layer_options();

/// Options that a use of a block may have in addition to the block's parameters.
const std::vector<CommonOption>& block_use_options();

std::vector<std::string> names_of(const std::vector<CommonOption>& options);
bool is_in(const std::vector<CommonOption>& options, std::string_view key);

/// "an integer, or a list of one for each axis".
const char* type_name(const LayerOption& option);

/// The values of a block's parameters in one use.
using BlockParameters = std::map<std::string, OptionValue>;

/// Evaluates a product of integers and parameters, such as "width" or "4 * width". A single parameter may
/// have another type. Throws Error(usage) naming the part that is unknown or too large.
OptionValue evaluate(const std::string& expression, const BlockParameters& parameters);

}  // namespace lockstep
