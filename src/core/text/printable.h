#pragma once

#include <string>
#include <string_view>

namespace lockstep {

/// `text` made safe for a terminal, because names in a file may contain escape sequences: control characters,
/// bidirectional formatting characters and bytes that are not UTF-8 are escaped, as in "\x1b". keep_lines:
/// keeps line feeds and tabs.
std::string printable(std::string_view text, bool keep_lines = false);

}  // namespace lockstep
