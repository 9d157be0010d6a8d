#pragma once

#include <string>

namespace lockstep {

/// "1.10.8": of the HDF5 library that runs, not of the headers.
std::string hdf5_library_version();

}  // namespace lockstep
