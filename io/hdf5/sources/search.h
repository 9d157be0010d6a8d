#pragma once

#include <string>
#include <vector>

namespace lockstep::hdf5 {

/// A file that an HDF5 file names by its path.
enum class Reference { virtual_source, external_link };

/// The environment variable with the folders in which libhdf5 searches: "HDF5_VDS_PREFIX" or
/// "HDF5_EXT_PREFIX".
const char* search_variable(Reference kind);

/// The full paths at which libhdf5 looks for the file `name` referred to by the file `from`, in its order,
/// without duplicates.
std::vector<std::string> places_of(Reference kind, const std::string& name, const std::string& from);

/// The folder in which libhdf5 looks for the raw files of external storage. `property` is the argument of
/// H5Pset_efile_prefix(): HDF5_EXTFILE_PREFIX, which libhdf5 prefers, or "${ORIGIN}", the folder of the HDF5
/// file.
struct RawFolder {
  std::string property;
  std::string folder;  ///< full path
};
RawFolder raw_folder_of(const std::string& from);
/// Whether this is the folder that applies when HDF5_EXTFILE_PREFIX is not set.
bool is_default(const RawFolder& folder);
/// libhdf5's own default, which needs no property: the current folder.
RawFolder current_raw_folder();

/// The path of the raw file `name` in a folder; an absolute name is returned as it is.
std::string raw_path(const RawFolder& folder, const std::string& name);

/// The full form of `path`, without "." and "..".
std::string full_path(const std::string& path);

}  // namespace lockstep::hdf5
