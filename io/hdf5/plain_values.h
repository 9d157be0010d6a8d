#pragma once

#include <cstdint>
#include <optional>

#include "io/hdf5/hdf5.h"

namespace lockstep::hdf5 {

/// Values that lie in a file byte for byte as they are given out, in one piece, so that they can be read
/// without libhdf5 and its lock.
struct PlainValues {
  Id file;  ///< holds the file open: another one than that of the data set behind an external link
  int descriptor = -1;  ///< libhdf5's own; to be read with pread() alone, which does not move its position
  int64_t offset = 0;   ///< where the values begin, in bytes
};

/// None when the values are chunked, virtual, in raw files or in the header; when none was written yet, and
/// they read as the fill value; when `dtype` or the order of bytes differs from what is stored; when this
/// process has the file open for writing, and may hold some of it back; and when libhdf5 was told to read
/// files in a way of its own (HDF5_DRIVER).
std::optional<PlainValues> plain_values(const Dataset& dataset, DType dtype);

}  // namespace lockstep::hdf5
