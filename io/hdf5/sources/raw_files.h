#pragma once

#include <hdf5.h>

#include <string>

#include "io/hdf5/sources/search.h"

namespace lockstep::hdf5 {

/// Where the raw files of a data set are, by the properties with which it was created: where
/// HDF5_EXTFILE_PREFIX says; else beside the file `from` that names them, or, when they are only there, in
/// the current folder.
RawFolder choose_raw_folder(hid_t creation_properties, const std::string& from);

/// What H5Pset_efile_prefix() has to be given for a data set; "" where it needs nothing.
std::string raw_prefix(hid_t dataset);

/// The path by which libhdf5 knows the file that an object lies in, in full.
std::string own_file(hid_t object);

}  // namespace lockstep::hdf5
