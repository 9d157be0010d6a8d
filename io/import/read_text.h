#pragma once

#include <string>

namespace lockstep {

/// The bytes of a file, which may be a pipe. Throws Error(data) if it cannot be read or is empty.
std::string read_text(const std::string& path);

}  // namespace lockstep
