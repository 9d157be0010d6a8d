#pragma once

#include <string>

namespace lockstep::hdf5 {

class File;

/// Explains why libhdf5 cannot open the data set `name` if it is stored in a form that requires a later
/// version: a clause to follow the data set's name, with the version and what to do. "" if that is not the
/// reason.
std::string needs_later_version(const File& file, const std::string& name);

}  // namespace lockstep::hdf5
