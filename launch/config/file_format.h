#pragma once

#include <string>
#include <string_view>

namespace lockstep {

/// Checks the path of an output file. Throws Error(usage) if the ending of `path` belongs to another format
/// than `written` ("HDF5", "CSV" or "SVG"), or if `path` is a folder; Error(data) if its folder does not
/// exist. `option` names it in the message.
void check_file_format(const std::string& option, const std::string& path, std::string_view written);

}  // namespace lockstep
