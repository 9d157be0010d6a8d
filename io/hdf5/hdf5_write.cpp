#include <algorithm>
#include <array>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

namespace {

Id simple_space(std::span<const int64_t> extents) {
  const std::vector<hsize_t> sizes(extents.begin(), extents.end());
  return Id(sizes.empty() ? H5Screate(H5S_SCALAR)
                          : H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr));
}

/// A string type for `length` bytes and the terminator.
Id string_type(size_t length) {
  Id type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), length + 1);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

/// Opens an attribute if the object has it.
Id find_attribute(hid_t file, const std::string& object, const std::string& name) {
  if (H5Aexists_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT) <= 0) {
    H5Eclear2(H5E_DEFAULT);
    return {};
  }
  return Id(H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT));
}

bool write_attribute(hid_t file, const std::string& object, const std::string& name, hid_t type,
                     const void* value, const Id& space = Id(H5Screate(H5S_SCALAR))) {
  if (H5Aexists_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT) > 0)
    H5Adelete_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT);
  const Id attribute(H5Acreate_by_name(file, object.c_str(), name.c_str(), type, space.get(), H5P_DEFAULT,
                                       H5P_DEFAULT, H5P_DEFAULT));
  return attribute && H5Awrite(attribute.get(), type, value) >= 0;
}

/// The class of a scalar attribute's type, or H5T_NO_CLASS if it has more than one value.
H5T_class_t scalar_class(hid_t attribute) {
  const Id space(H5Aget_space(attribute));
  const Id type(H5Aget_type(attribute));
  return H5Sget_simple_extent_npoints(space.get()) == 1 ? H5Tget_class(type.get()) : H5T_NO_CLASS;
}

template <typename T>
std::optional<T> read_number(const File& file, const std::string& object, const std::string& name,
                             H5T_class_t wanted, hid_t type, const char* description) {
  const Id attribute = find_attribute(file.id(), object, name);
  if (!attribute) return std::nullopt;
  T value{};
  if (scalar_class(attribute.get()) != wanted || H5Aread(attribute.get(), type, &value) < 0)
    fail(ExitCode::data, "{}: attribute {} of {} is not one {}.", file.path(), name, object, description);
  return value;
}

}  // namespace

void File::create_dataset(const std::string& name, DType dtype, const Shape& shape, const Storage& storage) {
  const Lock lock;
  const Id links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links.get(), 1);
  const Id creation(H5Pcreate(H5P_DATASET_CREATE));
  if (!storage.chunk.empty()) {
    const std::vector<hsize_t> chunk(storage.chunk.begin(), storage.chunk.end());
    H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
    if (storage.deflate > 0) {
      H5Pset_shuffle(creation.get());
      H5Pset_deflate(creation.get(), static_cast<unsigned>(storage.deflate));
    }
  }
  if (storage.allocate) {
    H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER);
  }
  const Id space = simple_space(shape.extents());
  const Id id(H5Dcreate2(id_.get(), name.c_str(), memory_type(dtype), space.get(), links.get(),
                         creation.get(), H5P_DEFAULT));
  if (!id) fail_to("create data set " + name);
}

void File::write(const std::string& name, const ConstTensor& tensor, const Storage& storage) {
  const Lock lock;
  create_dataset(name, tensor.dtype(), tensor.shape(), storage);
  if (tensor.elements() == 0) return;
  const Id id(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT));
  if (!id || H5Dwrite(id.get(), memory_type(tensor.dtype()), H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.raw()) < 0)
    fail_to("write data set " + name);
}

void File::write_rows(const std::string& name, int64_t first, const ConstTensor& rows) {
  const Lock lock;
  if (rows.elements() == 0) return;
  const Id id(H5Dopen2(id_.get(), name.c_str(), H5P_DEFAULT));
  const Id stored(id ? H5Dget_space(id.get()) : H5I_INVALID_HID);
  const Id memory = simple_space(rows.shape().extents());
  std::vector<hsize_t> start(static_cast<size_t>(rows.shape().rank()), 0);
  start[0] = static_cast<hsize_t>(first);
  const std::vector<hsize_t> size(rows.shape().extents().begin(), rows.shape().extents().end());
  if (!stored ||
      H5Sselect_hyperslab(stored.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
      H5Dwrite(id.get(), memory_type(rows.dtype()), memory.get(), stored.get(), H5P_DEFAULT, rows.raw()) < 0)
    fail_to("write data set " + name);
}

void File::set_attribute(const std::string& object, const std::string& name, int64_t value) {
  const Lock lock;
  if (!write_attribute(id_.get(), object, name, H5T_NATIVE_INT64, &value)) fail_to("write attribute " + name);
}

void File::set_attribute(const std::string& object, const std::string& name, double value) {
  const Lock lock;
  if (!write_attribute(id_.get(), object, name, H5T_NATIVE_DOUBLE, &value))
    fail_to("write attribute " + name);
}

void File::set_attribute(const std::string& object, const std::string& name, const std::string& value) {
  const Lock lock;
  if (!write_attribute(id_.get(), object, name, string_type(value.size()).get(), value.c_str()))
    fail_to("write attribute " + name);
}

void File::set_attribute(const std::string& object, const std::string& name,
                         const std::vector<std::string>& values) {
  const Lock lock;
  const Id type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  std::vector<const char*> texts;
  for (const std::string& value : values) texts.push_back(value.c_str());
  const Id space = simple_space(std::array{static_cast<int64_t>(values.size())});
  if (!write_attribute(id_.get(), object, name, type.get(), texts.data(), space))
    fail_to("write attribute " + name);
}

std::optional<int64_t> File::integer_attribute(const std::string& object, const std::string& name) const {
  const Lock lock;
  return read_number<int64_t>(*this, object, name, H5T_INTEGER, H5T_NATIVE_INT64, "integer");
}

std::optional<double> File::real_attribute(const std::string& object, const std::string& name) const {
  const Lock lock;
  return read_number<double>(*this, object, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, "floating-point number");
}

std::optional<std::string> File::string_attribute(const std::string& object, const std::string& name) const {
  const Lock lock;
  const Id attribute = find_attribute(id_.get(), object, name);
  if (!attribute) return std::nullopt;
  const Id type(H5Aget_type(attribute.get()));
  if (scalar_class(attribute.get()) != H5T_STRING)
    fail(ExitCode::data, "{}: attribute {} of {} is not one string.", path_, name, object);
  if (H5Tis_variable_str(type.get()) > 0) {
    char* text = nullptr;
    if (H5Aread(attribute.get(), type.get(), &text) < 0) fail_to("read attribute " + name);
    std::string result = text != nullptr ? text : "";
    H5free_memory(text);
    return result;
  }
  std::string text(H5Tget_size(type.get()), '\0');
  if (H5Aread(attribute.get(), type.get(), text.data()) < 0) fail_to("read attribute " + name);
  text.resize(std::min(text.find('\0'), text.size()));
  return text;
}

std::vector<std::string> File::attribute_names(const std::string& object) const {
  const Lock lock;
  std::vector<std::string> names;
  const herr_t status = H5Aiterate_by_name(
      id_.get(), object.c_str(), H5_INDEX_NAME, H5_ITER_INC, nullptr,
      [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
        static_cast<std::vector<std::string>*>(out)->emplace_back(name);
        return 0;
      },
      &names, H5P_DEFAULT);
  if (status < 0) fail_to("list the attributes of " + object);
  return names;
}

}  // namespace lockstep::hdf5
