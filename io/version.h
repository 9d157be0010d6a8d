#pragma once

#include <string>

namespace lockstep {

/// "1.10.8": the version of the HDF5 library loaded at run time, not of the headers.
std::string hdf5_library_version();

/// "libdeflate 1.14, zstd 1.5.4, lz4 1.9.4, blosc 1.21.3": the libraries that decode chunks.
std::string chunk_decoder_versions();

}  // namespace lockstep
