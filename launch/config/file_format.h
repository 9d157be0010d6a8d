#pragma once

#include <string>
#include <string_view>

namespace lockstep {

/// A file that a command writes is what its name says. Throws Error(usage) when the ending of `path` belongs
/// to another format than the one that is written ("HDF5", "CSV" or "SVG"), or when `path` is a folder;
/// Error(data) when its folder does not exist. `option` names it in the message.
void check_file_format(const std::string& option, const std::string& path, std::string_view written);

}  // namespace lockstep
