#pragma once

#include <string>

namespace lockstep {

/// Lets this process read `copy` in place of the file `original`, whose name messages go on to use.
/// Thread-safe; affects files that are opened afterwards.
void read_copy_instead(const std::string& original, const std::string& copy);

/// The file to open for `path`: the copy that is read in its place, or itself.
std::string staged_place(const std::string& path);

}  // namespace lockstep
