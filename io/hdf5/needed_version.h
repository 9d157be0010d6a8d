#pragma once

#include <string>

namespace lockstep::hdf5 {

class File;

/// Why libhdf5 cannot open the data set `name`, when it is stored in a form that only a later version knows:
/// a clause that follows the data set's name, with the version and what to do. "" when it is nothing of that.
std::string needs_later_version(const File& file, const std::string& name);

}  // namespace lockstep::hdf5
