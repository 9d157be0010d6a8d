#include "io/hdf5/plain_values.h"

namespace lockstep::hdf5 {

std::optional<PlainValues> plain_values(const Dataset& dataset, DType dtype) {
  const Lock lock;
  if (dataset.layout() != "contiguous" || !dataset.filters().empty() ||
      H5Tequal(dataset.type_id(), memory_type(dtype)) <= 0)
    return std::nullopt;
  const int64_t offset = dataset.offset();
  // A damaged header may promise more values than it has room for.
  const int64_t bytes = dataset.elements() * static_cast<int64_t>(size_of(dtype));
  if (offset < 0 || dataset.stored_bytes() != bytes || offset > INT64_MAX - bytes) return std::nullopt;
  Id file(H5Iget_file_id(dataset.id()));
  const Id access(file ? H5Fget_access_plist(file.get()) : H5I_INVALID_HID);
  void* handle = nullptr;
  unsigned intent = H5F_ACC_RDWR;
  if (!access || H5Fget_intent(file.get(), &intent) < 0 || (intent & H5F_ACC_RDWR) != 0 ||
      H5Pget_driver(access.get()) != H5FD_SEC2 || H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &handle) < 0 ||
      handle == nullptr) {
    H5Eclear2(H5E_DEFAULT);
    return std::nullopt;
  }
  return PlainValues{std::move(file), *static_cast<const int*>(handle), offset};
}

}  // namespace lockstep::hdf5
