#pragma once

#include <cstddef>
#include <cstdint>

#include "io/hdf5/hdf5.h"

namespace lockstep {

/// The rows of a data set as bytes of its own type, without conversion. Must not outlive the data set.
class RawRows {
 public:
  explicit RawRows(const hdf5::Dataset& dataset);

  const hdf5::Dataset& dataset() const { return dataset_; }
  int64_t count() const { return dataset_.extents()[0]; }
  size_t element_bytes() const { return element_bytes_; }
  size_t row_bytes() const { return row_bytes_; }
  int64_t bytes() const { return count() * static_cast<int64_t>(row_bytes_); }

  /// Throws Error(data).
  void read(int64_t first, int64_t count, std::byte* out) const;

 private:
  const hdf5::Dataset& dataset_;
  size_t element_bytes_, row_bytes_;
};

}  // namespace lockstep
