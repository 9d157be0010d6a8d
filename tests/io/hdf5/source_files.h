#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/io/data_files.h"

namespace lockstep {

/// Rows [first, first + count) of a virtual data set of numbers (N) that are the first rows of a source.
struct VirtualPart {
  std::string file, name;
  int64_t first = 0, count = 0;
};

/// Adds a virtual data set of `rows` doubles to a file, which is created if need be. Its fill value is 0.
inline void put_virtual(const std::string& path, const std::string& name, int64_t rows,
                        const std::vector<VirtualPart>& parts) {
  const hdf5::Lock lock;
  if (!std::filesystem::exists(path)) hdf5::File::create(path);
  const hdf5::File file = hdf5::File::open_for_writing(path);
  const hsize_t extent = static_cast<hsize_t>(rows);
  const hdf5::Id space(H5Screate_simple(1, &extent, nullptr)), properties(H5Pcreate(H5P_DATASET_CREATE));
  for (const VirtualPart& part : parts) {
    const hsize_t first = static_cast<hsize_t>(part.first), count = static_cast<hsize_t>(part.count),
                  zero = 0;
    const hdf5::Id source(H5Screate_simple(1, &count, nullptr));
    H5Sselect_hyperslab(source.get(), H5S_SELECT_SET, &zero, nullptr, &count, nullptr);
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &first, nullptr, &count, nullptr);
    ASSERT_GE(
        H5Pset_virtual(properties.get(), space.get(), part.file.c_str(), part.name.c_str(), source.get()), 0);
  }
  H5Sselect_all(space.get());
  const hdf5::Id links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  const hdf5::Id id(H5Dcreate2(file.id(), name.c_str(), H5T_NATIVE_DOUBLE, space.get(), links.get(),
                               properties.get(), H5P_DEFAULT));
  ASSERT_TRUE(id);
}

/// A virtual data set that joins the sources "s-0.h5", "s-1.h5", ... of `block` rows, as many as there are;
/// its header says that it has `rows` rows.
inline void put_numbered(const std::string& path, const std::string& name, int64_t rows, int64_t block) {
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::create(path);
  const hsize_t extent = static_cast<hsize_t>(rows), most = H5S_UNLIMITED, start = 0;
  const hsize_t stride = static_cast<hsize_t>(block);
  const hdf5::Id space(H5Screate_simple(1, &extent, &most)), source(H5Screate_simple(1, &stride, nullptr));
  const hdf5::Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &start, &stride, &most, &stride);
  ASSERT_GE(H5Pset_virtual(properties.get(), space.get(), "s-%b.h5", "/x", source.get()), 0);
  H5Sselect_all(space.get());
  const hdf5::Id id(H5Dcreate2(file.id(), name.c_str(), H5T_NATIVE_DOUBLE, space.get(), H5P_DEFAULT,
                               properties.get(), H5P_DEFAULT));
  ASSERT_TRUE(id);
}

/// A virtual data set (N, files) with /x of each file as a column, which grows with them.
inline void put_columns(const std::string& path, const std::string& name,
                        const std::vector<std::string>& files) {
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::create(path);
  const hsize_t extents[2] = {0, files.size()}, most[2] = {H5S_UNLIMITED, files.size()};
  const hsize_t one[2] = {1, 1}, endless[2] = {H5S_UNLIMITED, 1}, zero = 0;
  const hdf5::Id space(H5Screate_simple(2, extents, most)), source(H5Screate_simple(1, &zero, most));
  const hdf5::Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Sselect_hyperslab(source.get(), H5S_SELECT_SET, &zero, nullptr, endless, nullptr);
  for (size_t column = 0; column < files.size(); ++column) {
    const hsize_t start[2] = {0, column};
    H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start, one, endless, nullptr);
    ASSERT_GE(H5Pset_virtual(properties.get(), space.get(), files[column].c_str(), "/x", source.get()), 0);
  }
  H5Sselect_all(space.get());
  const hdf5::Id id(H5Dcreate2(file.id(), name.c_str(), H5T_NATIVE_DOUBLE, space.get(), H5P_DEFAULT,
                               properties.get(), H5P_DEFAULT));
  ASSERT_TRUE(id);
}

/// A data set of `rows` bytes that lie in raw files, `bytes` of them in each.
inline void put_external(const std::string& path, const std::string& name, int64_t rows,
                         const std::vector<std::string>& raw_files, int64_t bytes) {
  const hdf5::Lock lock;
  const hdf5::File file = hdf5::File::create(path);
  const hsize_t extent = static_cast<hsize_t>(rows);
  const hdf5::Id space(H5Screate_simple(1, &extent, nullptr)), properties(H5Pcreate(H5P_DATASET_CREATE));
  for (const std::string& raw : raw_files)
    H5Pset_external(properties.get(), raw.c_str(), 0, static_cast<hsize_t>(bytes));
  const hdf5::Id id(H5Dcreate2(file.id(), name.c_str(), H5T_NATIVE_UINT8, space.get(), H5P_DEFAULT,
                               properties.get(), H5P_DEFAULT));
  ASSERT_TRUE(id);
}

}  // namespace lockstep
