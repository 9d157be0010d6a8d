#pragma once

#include <string>

namespace lockstep {

/// What to do about a file that does not exist, as a sentence: where a group was written as part of the name,
/// where a shell would have changed it, or where a file beside it has nearly that name; "" if nothing is
/// known.
std::string advice_on_missing(const std::string& path);

}  // namespace lockstep
