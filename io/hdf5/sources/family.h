#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep::hdf5 {

class File;

/// A file that libhdf5's driver "family" has cut into members of one size, the last of which may be shorter:
/// data-00000.h5, data-00001.h5, ... of the pattern "data-%05d.h5".
struct Family {
  std::string pattern = "";
  std::vector<std::string> members = {};  ///< paths, in order; at least one
  uint64_t member_bytes = 0;              ///< of each but the last
  uint64_t bytes = 0;                     ///< of all
};

/// Whether `path` is the pattern of a family: its file name has one %d, %i or %u, perhaps with a width, as
/// printf() takes it, and no file has this very name.
bool is_family_pattern(const std::string& path);
/// The path of a member.
std::string member_of(const std::string& pattern, int64_t number);
/// The members of a family. Throws Error(data) that names a member which is missing, unreadable or too short.
Family find_family(const std::string& pattern);

/// The pattern of the family whose first member this file is, by what the file says of its driver; "" if it
/// is none.
std::string family_begun_by(const std::string& path);

/// The files that hold the bytes of an HDF5 file: the members of a family, named by its pattern or its first
/// member, or the file alone. Throws Error(data) as find_family() does.
std::vector<std::string> files_behind(const std::string& path);

/// "data-00000.h5 is read as a family of 6 files with 21 KiB, data-00000.h5 to data-00005.h5"; "" if a file
/// is none.
std::string describe_family(const File& file);

/// What to do about a file that is not HDF5 by itself, but a later member of a family, or a part of a file
/// that libhdf5's driver "multi" or "split" has divided; "" if it is neither.
std::string advice_on_part(const std::string& path);

}  // namespace lockstep::hdf5
