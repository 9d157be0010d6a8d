#pragma once

#include <string_view>

namespace lockstep {

/// Whether the whole text is what the pattern says: * stands for any characters, none included, and
/// everything else for itself.
bool matches(std::string_view pattern, std::string_view text);

/// Whether the pattern is of a name with dots, or of a block that it is in, which is what stands in front of
/// one of the dots: "layer*" matches "layer1.0.conv1", and so does "layer1.0".
bool matches_name_or_block(std::string_view pattern, std::string_view name);

}  // namespace lockstep
