#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/graph/layers/description.h"

namespace lockstep {

/// What every layer of a model file may have besides the options of its kind, each with its meaning.
struct CommonOption {
  std::string name, type, description;
};
const std::vector<CommonOption>& common_layer_options();

/// What a use of a block may have besides the block's parameters.
const std::vector<CommonOption>& block_use_options();

std::vector<std::string> names_of(const std::vector<CommonOption>& options);
bool is_in(const std::vector<CommonOption>& options, std::string_view key);

/// "an integer or [height, width]".
const char* type_name(const LayerOption& option);

/// The values that the parameters of a block have where it is used.
using BlockParameters = std::map<std::string, OptionValue>;

/// The value of a product of integers and parameters, as in "width" and "4 * width". A single parameter may
/// be of another type. Throws Error(usage) that says which part is not known, or too large.
OptionValue evaluate(const std::string& expression, const BlockParameters& parameters);

}  // namespace lockstep
