#pragma once

#include <string>
#include <vector>

#include "io/dataset/layouts/record_fields.h"
#include "io/dataset/rows/stored_rows.h"

namespace lockstep {

/// Fields of the elements of a compound data set (N, ...), such as columns of a table or the parts of complex
/// numbers. The values of one field are (N, ..., the field's own extents); those of several lie side by side
/// on a new last axis. Elements are read as they are stored, and fields are taken and converted from them
/// without libhdf5.
class RecordRows final : public StoredRows {
 public:
  /// axis: the one that counts the rows, from 0 on.
  RecordRows(hdf5::File file, const std::string& name, hdf5::Dataset dataset, std::vector<RecordField> fields,
             int axis);

  std::vector<std::string> data_sets() const override { return {dataset_.name()}; }
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override;

 private:
  hdf5::Dataset dataset_;
  std::vector<RecordField> fields_;
  int axis_;
};

}  // namespace lockstep
