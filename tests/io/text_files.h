#pragma once

#include <string>
#include <vector>

#include "io/hdf5/hdf5.h"
#include "tests/io/data_files.h"

namespace lockstep {

/// Opens a file to add to it, or creates it.
inline hdf5::File open_to_add(const std::string& path) {
  if (std::filesystem::exists(path)) return hdf5::File::open_for_writing(path);
  return hdf5::File::create(path);
}

/// Adds a data set with elements of any type, given as H5Dwrite() takes them.
inline void put_elements(const std::string& path, const std::string& name, const Shape& shape, hid_t type,
                         const void* elements, const hdf5::Storage& storage = {}) {
  const hdf5::Lock lock;
  const hdf5::File file = open_to_add(path);
  const hdf5::Id links(H5Pcreate(H5P_LINK_CREATE)), creation(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  if (!storage.chunk.empty()) {
    const std::vector<hsize_t> chunk(storage.chunk.begin(), storage.chunk.end());
    H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
    if (storage.deflate > 0) H5Pset_deflate(creation.get(), static_cast<unsigned>(storage.deflate));
  }
  const std::vector<hsize_t> extents(shape.extents().begin(), shape.extents().end());
  const hdf5::Id space(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
  const hdf5::Id id(
      H5Dcreate2(file.id(), name.c_str(), type, space.get(), links.get(), creation.get(), H5P_DEFAULT));
  ASSERT_GE(H5Dwrite(id.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, elements), 0) << name;
}

/// Adds a data set of strings: of variable length, or of `fixed` bytes.
inline void put_text(const std::string& path, const std::string& name, const Shape& shape,
                     const std::vector<std::string>& texts, size_t fixed = 0,
                     const hdf5::Storage& storage = {}, H5T_str_t padding = H5T_STR_NULLPAD) {
  const hdf5::Lock lock;
  const hdf5::Id type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), fixed == 0 ? H5T_VARIABLE : fixed);
  H5Tset_strpad(type.get(), fixed == 0 ? H5T_STR_NULLTERM : padding);
  std::vector<const char*> pointers;
  std::string fields;
  for (std::string text : texts) {
    text.resize(fixed, padding == H5T_STR_SPACEPAD ? ' ' : '\0');
    fields += text;
  }
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  put_elements(path, name, shape, type.get(),
               fixed == 0 ? static_cast<const void*>(pointers.data()) : fields.data(), storage);
}

}  // namespace lockstep
