#include "io/hdf5/chunks/chunk_bytes.h"

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

size_t chunk_bytes(const Dataset& dataset) {
  constexpr double kMaxBytes = 0x1p32;
  double bytes = static_cast<double>(dataset.type().bytes);
  for (const int64_t extent : dataset.chunk()) bytes *= static_cast<double>(extent);
  if (!(bytes > 0 && bytes < kMaxBytes))
    fail(ExitCode::data, "{} is damaged: its chunks claim {:.4g} bytes, and HDF5's are smaller than 4 GiB.",
         dataset.where(), bytes);
  return static_cast<size_t>(bytes);
}

hsize_t stored_chunk_bytes(hid_t dataset, const std::vector<hsize_t>& offset, const std::string& where) {
  const Lock lock;
  hsize_t bytes = 0;
  if (H5Dget_chunk_storage_size(dataset, offset.data(), &bytes) >= 0) return bytes;
  // An error in libhdf5 1.10, but not in later versions.
  const std::string reason = last_error();
  if (reason.find("not allocated") != std::string::npos) return 0;
  fail(ExitCode::data, "{}: the index of its chunks is damaged: {}.", where, reason);
}

bool read_stored_chunk(hid_t dataset, const std::vector<hsize_t>& offset, uint32_t& skipped, std::byte* out,
                       [[maybe_unused]] size_t bytes) {
#if H5_VERSION_GE(2, 0, 0)
  return H5Dread_chunk2(dataset, H5P_DEFAULT, offset.data(), &skipped, out, &bytes) >= 0;
#else
  return H5Dread_chunk(dataset, H5P_DEFAULT, offset.data(), &skipped, out) >= 0;
#endif
}

}  // namespace lockstep::hdf5
