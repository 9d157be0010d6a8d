#pragma once

#include <string>
#include <vector>

namespace lockstep::hdf5 {

/// A file that an HDF5 file names by its path.
enum class Reference { virtual_source, external_link };

/// The environment variable with folders that libhdf5 looks in: "HDF5_VDS_PREFIX" or "HDF5_EXT_PREFIX".
const char* search_variable(Reference kind);

/// The full paths at which libhdf5 looks for the file `name` that the file `from` names, in its order, each
/// once.
std::vector<std::string> places_of(Reference kind, const std::string& name, const std::string& from);

/// Where libhdf5 looks for the raw files of external storage. `property` is what H5Pset_efile_prefix() gets:
/// HDF5_EXTFILE_PREFIX, which libhdf5 prefers, or "${ORIGIN}", the folder of the HDF5 file.
struct RawFolder {
  std::string property;
  std::string folder;  ///< in full
};
RawFolder raw_folder_of(const std::string& from);
/// Whether it is the one for which nobody set HDF5_EXTFILE_PREFIX.
bool is_default(const RawFolder& folder);
/// libhdf5's own default, which needs no property: the current folder.
RawFolder current_raw_folder();

/// The path of the raw file `name` in a folder; an absolute name is a path of its own.
std::string raw_path(const RawFolder& folder, const std::string& name);

/// `path` in full and without "." and "..".
std::string full_path(const std::string& path);

}  // namespace lockstep::hdf5
