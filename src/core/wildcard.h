#pragma once

#include <string_view>

namespace lockstep {

/// Whether the whole text is what the pattern says: * stands for any characters, none included, and
/// everything else for itself.
bool matches(std::string_view pattern, std::string_view text);

}  // namespace lockstep
