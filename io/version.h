#pragma once

#include <string>

namespace lockstep {

/// "1.10.8": the version of the HDF5 library loaded at run time, not of the headers.
std::string hdf5_library_version();

}  // namespace lockstep
