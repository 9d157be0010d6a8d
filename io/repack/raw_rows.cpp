#include "io/repack/raw_rows.h"

#include <vector>

#include "src/core/error.h"

namespace lockstep {

using hdf5::Id;

RawRows::RawRows(const hdf5::Dataset& dataset)
    : dataset_(dataset), element_bytes_(H5Tget_size(dataset.type_id())), row_bytes_(element_bytes_) {
  for (size_t axis = 1; axis < dataset.extents().size(); ++axis)
    row_bytes_ *= static_cast<size_t>(dataset.extents()[axis]);
}

void RawRows::read(int64_t first, int64_t count, std::byte* out) const {
  // What is decoded here is checked, where libhdf5 accepts a chunk that is too short.
  if (const hdf5::ElementType& type = dataset_.type(); type.exact && !type.big_endian)
    return dataset_.read_rows(first, count, *type.exact, out);
  const hdf5::Lock lock;
  std::vector<hsize_t> start(dataset_.extents().size(), 0);
  std::vector<hsize_t> size(dataset_.extents().begin(), dataset_.extents().end());
  start[0] = static_cast<hsize_t>(first);
  size[0] = static_cast<hsize_t>(count);
  const Id space(H5Dget_space(dataset_.id()));
  const Id memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
  if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) < 0 ||
      H5Dread(dataset_.id(), dataset_.type_id(), memory.get(), space.get(), H5P_DEFAULT, out) < 0)
    fail(ExitCode::data, "{}: rows {} to {} cannot be read: {}.", dataset_.where(), first, first + count - 1,
         hdf5::last_error());
}

}  // namespace lockstep
