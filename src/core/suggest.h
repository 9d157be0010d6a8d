#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lockstep {

/// The known name nearest to `name` by edit distance, or "" when none is near (more than a third of it
/// differs).
std::string nearest_name(std::string_view name, std::span<const std::string> known);

/// ". Did you mean 'X'?" for the nearest name, else ". Known: a, b, c.": the tail of an unknown-name error.
std::string suggestion(std::string_view name, std::span<const std::string> known);

}  // namespace lockstep
