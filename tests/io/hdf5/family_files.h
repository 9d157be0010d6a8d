#pragma once

#include <functional>
#include <string>

#include "tests/io/data_files.h"

namespace lockstep {

/// Writes all objects of a file to one that libhdf5 stores in several. set_driver: sets the driver. newest:
/// in the newest format, in which the driver is named elsewhere than in the oldest.
inline void copy_by_driver(const std::string& from, const std::string& to,
                           const std::function<void(hid_t access)>& set_driver, bool newest = false) {
  const hdf5::Lock lock;
  const hdf5::File plain = hdf5::File::open(from);
  const hdf5::Id access(H5Pcreate(H5P_FILE_ACCESS)), links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  set_driver(access.get());
  if (newest) H5Pset_libver_bounds(access.get(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  const hdf5::Id file(H5Fcreate(to.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()));
  ASSERT_TRUE(file) << hdf5::last_error();
  for (const std::string& name : plain.dataset_names())
    ASSERT_GE(H5Ocopy(plain.id(), name.c_str(), file.get(), name.c_str(), H5P_DEFAULT, links.get()), 0);
}

/// The same as a family of members of this size.
inline void copy_as_family(const std::string& from, const std::string& pattern, uint64_t member_bytes,
                           bool newest = false) {
  const auto set_family = [&](hid_t access) { H5Pset_fapl_family(access, member_bytes, H5P_DEFAULT); };
  copy_by_driver(from, pattern, set_family, newest);
}

}  // namespace lockstep
