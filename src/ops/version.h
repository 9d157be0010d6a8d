#pragma once

#include <string>

namespace lockstep {

/// "2.6.3": of the oneDNN library that runs, not of the headers.
std::string onednn_library_version();

}  // namespace lockstep
