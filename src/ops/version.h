#pragma once

#include <string>

namespace lockstep {

/// "2.6.3": the version of the oneDNN library loaded at run time, not of the headers.
std::string onednn_library_version();

}  // namespace lockstep
