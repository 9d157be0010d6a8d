#pragma once

#include <string>
#include <string_view>

namespace lockstep {

/// `text` for a terminal: control characters, marks that change the direction of writing, and bytes that are
/// not UTF-8 become "\x1b". Names in a file may hold escape sequences. keep_lines: line feeds and tabs stay.
std::string printable(std::string_view text, bool keep_lines = false);

}  // namespace lockstep
