#pragma once

#include <string>

namespace lockstep {

/// The file beside `path` that has nearly its name; "" when there is none.
std::string similar_file(const std::string& path);

/// What to do about a file that does not exist, as a sentence: where a group was written as part of the name,
/// where a shell would have changed it, or where a file beside it has nearly that name; "" if nothing is
/// known.
std::string advice_on_missing(const std::string& path);

}  // namespace lockstep
