#include "io/import/named_classes.h"

#include <algorithm>

#include "src/core/error.h"

namespace lockstep {

namespace {

using hdf5::Id;

/// Of an enumeration of 32-bit integers, whose names are padded to a multiple of 8 bytes.
size_t bytes_of_enumeration(const std::vector<std::string>& classes) {
  size_t bytes = 0;
  for (const std::string& name : classes) bytes += name.size() / 8 * 8 + 8 + sizeof(int32_t);
  return bytes;
}

void write_list(hdf5::File& file, const std::string& name, const Id& stored, const Id& memory, size_t count,
                const void* values) {
  const hsize_t extent = count;
  const Id space(H5Screate_simple(1, &extent, nullptr));
  const Id dataset(
      H5Dcreate2(file.id(), name.c_str(), stored.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  if (!dataset ||
      (count > 0 && H5Dwrite(dataset.get(), memory.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0))
    fail(ExitCode::data, "{}:{} cannot be written: {}.", file.path(), name, hdf5::last_error());
}

Id enumeration(const std::vector<std::string>& classes, hid_t integer) {
  Id type(H5Tenum_create(integer));
  for (size_t i = 0; i < classes.size(); ++i) {
    int32_t value = static_cast<int32_t>(i);
    H5Tconvert(H5T_NATIVE_INT32, integer, 1, &value, nullptr, H5P_DEFAULT);
    if (H5Tenum_insert(type.get(), classes[i].c_str(), &value) < 0)
      fail(ExitCode::data, "'{}' cannot be the name of a class: {}.", printable(classes[i]),
           hdf5::last_error());
  }
  return type;
}

void write_categories(hdf5::File& file, const std::string& name, const std::vector<std::string>& classes) {
  const size_t longest = std::ranges::max(classes, {}, [](const std::string& s) { return s.size(); }).size();
  std::vector<char> texts(classes.size() * longest);
  for (size_t i = 0; i < classes.size(); ++i)
    std::ranges::copy(classes[i], texts.begin() + static_cast<int64_t>(i * longest));
  const Id type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), longest);
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  write_list(file, name, type, type, classes.size(), texts.data());
}

}  // namespace

void write_named_classes(hdf5::File& file, const std::string& name, std::span<const int32_t> numbers,
                         const std::vector<std::string>& classes) {
  constexpr size_t kMaxBytes = 60000;
  const hdf5::Lock lock;
  if (bytes_of_enumeration(classes) > kMaxBytes) {
    file.create_group(name);
    const Id integer(H5Tcopy(H5T_NATIVE_INT32));
    write_list(file, name + "/codes", integer, integer, numbers.size(), numbers.data());
    write_categories(file, name + "/categories", classes);
    return;
  }
  const Id stored = enumeration(classes, classes.size() <= 256 ? H5T_NATIVE_UINT8 : H5T_NATIVE_INT32);
  const Id memory = enumeration(classes, H5T_NATIVE_INT32);
  write_list(file, name, stored, memory, numbers.size(), numbers.data());
}

}  // namespace lockstep
