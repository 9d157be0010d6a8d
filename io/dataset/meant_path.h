#pragma once

#include <string>

namespace lockstep {

/// The file in the folder of `path` with the most similar name; "" if no name is similar.
std::string similar_file(const std::string& path);

/// Advice on a file that does not exist, as a sentence: a group was written as part of its name, it has
/// characters that only a shell expands, or a file with a similar name exists. "" if none of these applies.
std::string advice_on_missing(const std::string& path);

}  // namespace lockstep
