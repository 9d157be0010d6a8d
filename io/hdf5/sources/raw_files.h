#pragma once

#include <hdf5.h>

#include <memory>
#include <string>

#include "io/file/file_parts.h"
#include "io/hdf5/sources/search.h"

namespace lockstep::hdf5 {

class Dataset;

/// The folder of the raw files of a data set, by its creation properties: that of HDF5_EXTFILE_PREFIX; else
/// the folder of `from`, the file that names them, or the current folder if they exist only there.
RawFolder choose_raw_folder(hid_t creation_properties, const std::string& from);

/// The value for H5Pset_efile_prefix() for a data set; "" if it is not needed.
std::string raw_prefix(hid_t dataset);

/// Opens the raw files that hold the values of a data set, which is none of a virtual one's sources. Null if
/// one cannot be opened, or they have no room for all values: require_sources() then says which.
std::shared_ptr<const FileParts> open_raw_files(const Dataset& dataset);

/// The full path by which libhdf5 knows the file that contains an object.
std::string own_file(hid_t object);

}  // namespace lockstep::hdf5
