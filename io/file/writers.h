#pragma once

#include <string>
#include <vector>

namespace lockstep {

/// A sentence for each file on which a process of this machine holds a write lock, as libhdf5 does while it
/// has a file open for writing. Takes no lock itself, which could make that process fail.
std::vector<std::string> describe_writers(const std::vector<std::string>& files);

}  // namespace lockstep
