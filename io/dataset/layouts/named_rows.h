#pragma once

#include <string>
#include <vector>

#include "io/dataset/rows/stored_rows.h"
#include "io/dataset/targets/class_names.h"

namespace lockstep {

/// Classes that are stored as names, as the numbers of the classes.
class NamedRows final : public StoredRows {
 public:
  /// names: of the classes, in the order of their numbers. Throws Error(data) unless the file has targets of
  /// this name that find_named_values() finds.
  NamedRows(hdf5::File file, const std::string& name, const ClassNames& names);

  std::vector<std::string> data_sets() const override { return values_.data_sets(); }
  /// Throws Error(data) for a name that is none of the classes'.
  void read_runs(std::span<const hdf5::RowRun> runs, DType dtype, std::byte* out) const override;

 private:
  NamedValues values_;
  NameTable table_;
  std::string known_;  ///< in words
};

}  // namespace lockstep
