#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/dataset/rows/stored_rows.h"

namespace lockstep {

/// A data set of numbers of which any axis counts the rows, such as (28, 28, N). The other axes keep their
/// order. Contiguous values of a row then lie far apart, so that many rows are read at once, as a block.
class AxisRows final : public StoredRows {
 public:
  /// axis: from 0 on.
  AxisRows(hdf5::File file, const std::string& name, hdf5::Dataset dataset, int axis);

  std::vector<std::string> data_sets() const override { return {dataset_.name()}; }
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override;

 private:
  hdf5::Dataset dataset_;
  int axis_;
};

/// Reads the indices [first, first + count) along `axis` of a data set, each with all elements of the other
/// axes, one after another; dtype as for hdf5::Dataset::read_box().
void read_along(const hdf5::Dataset& dataset, int axis, int64_t first, int64_t count,
                std::optional<DType> dtype, std::byte* out);

}  // namespace lockstep
